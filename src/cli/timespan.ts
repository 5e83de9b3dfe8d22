/** `--last DURATION` and `--since TIME`: which stretch of time a question is about. */
import { parseDuration } from '../base/duration.ts';
import { Failure } from '../base/failure.ts';
import type { Filter } from '../events/queries.ts';
import { printable } from '../names/display.ts';
import { parseTimestamp } from '../policy/timestamp.ts';
import { iso } from './output.ts';

export interface SpanOptions {
  last: string;
  since?: string;
  agent?: string;
}

export function filterOf({ last, since, agent }: SpanOptions, now: number): Filter {
  return { since: since === undefined ? now - durationOf(last) : timeOf(since, now), until: now + 1, agent };
}

export function durationOf(text: string): number {
  const duration = parseDuration(text);
  if (duration === null || duration === 0)
    throw new Failure('bad-duration', `'${printable(text)}' is not a duration.`);
  return duration;
}

/** RFC 3339, or a date alone, which begins at midnight UTC. */
function timeOf(text: string, now: number): number {
  const time = parseTimestamp(/^[\d-]+$/.test(text) ? `${text}T00:00:00Z` : text);
  if (time === null)
    throw new Failure(
      'usage',
      `'${printable(text)}' is not a time.`,
      `Write it as ${iso(now)} or as a date.`,
    );
  return time;
}

/** `in the last 24h`, `since 2026-01-31`. */
export const spanText = ({ last, since }: SpanOptions) =>
  since === undefined ? `in the last ${printable(last)}` : `since ${printable(since)}`;
