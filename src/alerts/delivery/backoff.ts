/** How long to wait before the next attempt. */

/** Milliseconds: before the second attempt, and at most. */
const FIRST = 1_000;
const LONGEST = 15 * 60_000;

/**
 * Doubled with every failure, and between half of it and the whole, so that many who failed at once do not come back
 * at once. A receiver's own wish (Retry-After) is never undercut. `random` is from 0 up to 1.
 */
export function backOff(failures: number, wish: number | null, random: number): number {
  const whole = Math.min(LONGEST, FIRST * 2 ** Math.min(failures - 1, 30));
  return Math.max(wish ?? 0, Math.round(whole / 2 + (whole / 2) * random));
}
