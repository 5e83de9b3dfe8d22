/** Which totals answer for a stretch of time: the longest within, shorter ones at its ends, each moment once. */
import type { Database } from 'bun:sqlite';
import { KEPT, KEPT_AT_LEAST } from './retention.ts';
import { SPANS } from './totals.ts';

/** Totals of this span whose start is in [from, to). Milliseconds. */
export interface Stretch {
  span: number;
  from: number;
  to: number;
}

/** Covers [since, until) with what this store still has. Ask for it and for the totals in one transaction. */
export function coverFrom(db: Database, since: number, until: number, now: number): Stretch[] {
  const query = db.query('SELECT min(start) AS first FROM total WHERE span = ?');
  return cover(since, until, now, (query.get(SPANS.minute) as { first: number | null }).first);
}

/**
 * Covers [since, until). Where the finer totals are gone, its ends are widened to the next coarser ones:
 * to the second in the last hour, to the minute from the first that is there, to the hour before. Left out, the first
 * minute is where that of a store with space enough is.
 */
export function cover(
  since: number,
  until: number,
  now: number,
  firstMinute: number | null = now - KEPT.minute + SPANS.hour,
): Stretch[] {
  if (until <= since) return [];
  const kept = surelyKept(now);
  const finest = (time: number) => {
    if (time > kept.second) return SPANS.second;
    if (time > kept.minute) return SPANS.minute;
    // How many days of minutes there are depends on how full the store is; of the first a part may be gone.
    return firstMinute !== null && time >= firstMinute + SPANS.minute ? SPANS.minute : SPANS.hour;
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

/** Since when all finer totals are there. A little less than what is kept: eviction goes on while a question is answered. */
export const surelyKept = (now: number) => ({
  second: now - KEPT.second + 5 * SPANS.minute,
  minute: now - KEPT_AT_LEAST + SPANS.hour,
});

/** Where the span begins in which a time is. */
export function down(time: number, span: number): number {
  return Math.floor(time / span) * span;
}

function up(time: number, span: number): number {
  return Math.ceil(time / span) * span;
}
