/** Which totals answer for a stretch of time: the longest within, shorter ones at its ends, each moment once. */
import { KEPT } from './retention.ts';
import { SPANS } from './totals.ts';

/** Totals of this span whose start is in [from, to). Milliseconds. */
export interface Stretch {
  span: number;
  from: number;
  to: number;
}

/**
 * Covers [since, until). Where the finer totals are gone, its ends are widened to the next coarser ones:
 * to the second in the last hour, to the minute in the last eight days, to the hour before.
 */
export function cover(since: number, until: number, now: number): Stretch[] {
  if (until <= since) return [];
  const finest = (time: number) => {
    // A little less than what is kept: eviction goes on while the question is answered.
    if (time > now - KEPT.second + 5 * SPANS.minute) return SPANS.second;
    return time > now - KEPT.minute + SPANS.hour ? SPANS.minute : SPANS.hour;
  };
  const from = down(since, finest(since));
  const to = up(until, finest(until));
  return stretches(from, to, Object.values(SPANS).reverse());
}

function stretches(from: number, to: number, [span, ...finer]: readonly number[]): Stretch[] {
  if (from >= to || span === undefined) return [];
  const begin = up(from, span);
  const end = down(to, span);
  if (begin >= end) return stretches(from, to, finer);
  return [...stretches(from, begin, finer), { span, from: begin, to: end }, ...stretches(end, to, finer)];
}

function down(time: number, span: number): number {
  return Math.floor(time / span) * span;
}

function up(time: number, span: number): number {
  return Math.ceil(time / span) * span;
}
