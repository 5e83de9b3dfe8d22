/** Time as the rest of the program sees it, so that tests can hold it still. */
export interface Clock {
  /** Wall time, milliseconds since the Unix epoch. For records and expiry. */
  now(): number;
  /** Milliseconds from an arbitrary start that never run backwards. For time limits. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
