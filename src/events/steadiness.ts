/**
 * Whether the wall clock is to be believed before what it says is too old is erased: a clock that was far ahead for a few
 * seconds would take everything. A program sees jumps beside its monotonic clock; those between programs show beside the
 * last time that was believed, which the store keeps.
 */

/** Milliseconds that clocks may differ by, and for which there has to be no more than that. */
const TOLERANCE = 300_000;
const LONG_ENOUGH = 3_600_000;
/** Milliseconds within which a second program has to find what a first one found, for both to be believed. */
const LATEST = 8 * 86_400_000;

/** Answers whether the wall clock has gone as the monotonic one for an hour, or since the first call. */
export function createSteadiness(): (wall: number, monotonic: number) => boolean {
  let offset: number | null = null;
  let jumped = Number.NEGATIVE_INFINITY;
  return (wall, monotonic) => {
    const now = wall - monotonic;
    if (offset !== null && Math.abs(now - offset) > TOLERANCE) jumped = monotonic;
    // What a clock is put right by bit by bit is no jump.
    if (offset === null || jumped === monotonic || monotonic - jumped > LONG_ENOUGH) offset = now;
    return monotonic - jumped > LONG_ENOUGH;
  };
}

/** Wall time, milliseconds. */
export interface Belief {
  /** The last that was believed. */
  believed: number | null;
  /** Later than that, and not believed: when it was first seen. */
  doubted: number | null;
}

/**
 * A time is believed that is no later than shortly after the last one, or that an hour has passed up to since it was first
 * doubted. An earlier one is: it erases less.
 */
export function believe({ believed, doubted }: Belief, now: number): Belief {
  if (believed !== null && now <= believed + TOLERANCE) return { believed: now, doubted: null };
  if (doubted === null || now < doubted || now > doubted + LATEST) return { believed, doubted: now };
  return now > doubted + LONG_ENOUGH ? { believed: now, doubted: null } : { believed, doubted };
}
