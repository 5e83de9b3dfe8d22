/** Durations as people write them: `90s`, `5m`, `2h`, `7d`, also `5 minutes`, also sums such as `1h30m`. */

const UNITS: ReadonlyArray<[RegExp, number]> = [
  [/^(ms|milliseconds?)$/, 1],
  [/^(s|secs?|seconds?)$/, 1_000],
  [/^(m|mins?|minutes?)$/, 60_000],
  [/^(h|hrs?|hours?)$/, 3_600_000],
  [/^(d|days?)$/, 86_400_000],
  [/^(w|weeks?)$/, 604_800_000],
];

/** Milliseconds, or null if the text is not a duration. Never negative; at most 100 years. */
export function parseDuration(text: string): number | null {
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)\s*/gy)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text.trim()) return null;
  let total = 0;
  for (const [, number, unit] of parts) {
    const scale = UNITS.find(([pattern]) => pattern.test(unit!))?.[1];
    if (scale === undefined) return null;
    total += Number(number) * scale;
  }
  return total <= 100 * 365 * 86_400_000 ? total : null;
}

/** The largest unit that says it in one or two digits: `45s`, `12m`, `3h`, `9d`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1_000);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.round(seconds / 60)}m`;
  if (seconds < 2 * 86_400) return `${Math.round(seconds / 3_600)}h`;
  return `${Math.round(seconds / 86_400)}d`;
}
