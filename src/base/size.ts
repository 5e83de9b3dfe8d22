/** Sizes as people write them: `50 MB` (decimal), `50 MiB` (binary), `512 B`. */

const UNITS: ReadonlyMap<string, number> = new Map([
  ['TiB', 2 ** 40],
  ['TB', 1e12],
  ['GiB', 2 ** 30],
  ['GB', 1e9],
  ['MiB', 2 ** 20],
  ['MB', 1e6],
  ['KiB', 2 ** 10],
  ['kB', 1e3],
  ['KB', 1e3],
  ['B', 1],
]);

export const SIZE_UNITS: readonly string[] = [...UNITS.keys()].reverse();

/** Octets, a whole number; null if the text is not a size. At most 1000 TB. Case counts: `mb` could be megabits. */
export function parseSize(text: string): number | null {
  const [, number, unit] = /^(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]{1,3})$/.exec(text) ?? [];
  const scale = UNITS.get(unit ?? '');
  if (number === undefined || scale === undefined) return null;
  const octets = Number(number) * scale;
  return Number.isInteger(octets) && octets <= 1e15 ? octets : null;
}

/** The largest unit that says it exactly without a fraction: `50 MB`, `3 GiB`, `1001 B`. */
export function formatSize(octets: number): string {
  for (const [unit, scale] of UNITS)
    if (octets >= scale && octets % scale === 0) return `${octets / scale} ${unit}`;
  return `${octets} B`;
}
