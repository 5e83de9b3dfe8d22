/** One slip of the finger, or of one bit in memory, between the label that was meant and the one that was written. */

/** Likelier ones first. */
export const SLIPS = [
  'repetition',
  'transposition',
  'omission',
  'keyboard',
  'bitsquat',
  'insertion',
  'substitution',
] as const;
export type Slip = (typeof SLIPS)[number];

const ROWS = ['1234567890-', 'qwertyuiop', 'asdfghjkl', 'zxcvbnm'];

/** The keys that touch each key of a QWERTY keyboard: beside it, and the two in each next row. */
const NEIGHBOURS = new Map<string, string>();
ROWS.forEach((row, i) => {
  [...row].forEach((key, column) => {
    const above = ROWS[i - 1];
    const below = ROWS[i + 1];
    const keys = [row[column - 1], row[column + 1], above?.[column], above?.[column + 1]];
    keys.push(below?.[column - 1], below?.[column]);
    NEIGHBOURS.set(key, keys.filter((other) => other !== undefined).join(''));
  });
});

/**
 * The label and every text that it gives with one character left out. Two labels that are one slip apart have at
 * least one of these in common, so an index of them finds every slip in as many steps as the label has letters.
 */
export function* stumpsOf(label: string): Generator<string> {
  yield label;
  for (let i = 0; i < label.length; i++)
    if (i === 0 || label[i] !== label[i - 1]) yield label.slice(0, i) + label.slice(i + 1);
}

/** The slip that turns `meant` into `written`; null where it takes none, or more than one. */
export function slipBetween(meant: string, written: string): Slip | null {
  const longer = written.length - meant.length;
  if (meant === written || Math.abs(longer) > 1) return null;
  let start = 0;
  while (start < meant.length && meant[start] === written[start]) start++;
  if (longer === -1) return meant.slice(start + 1) === written.slice(start) ? 'omission' : null;
  if (longer === 1) {
    if (meant.slice(start) !== written.slice(start + 1)) return null;
    return written[start] === written[start - 1] ? 'repetition' : 'insertion';
  }
  if (meant.slice(start + 1) === written.slice(start + 1))
    return substitution(meant[start]!, written[start]!);
  const swapped = meant[start] === written[start + 1] && meant[start + 1] === written[start];
  return swapped && meant.slice(start + 2) === written.slice(start + 2) ? 'transposition' : null;
}

function substitution(meant: string, written: string): Slip {
  if (NEIGHBOURS.get(meant)?.includes(written)) return 'keyboard';
  const bits = meant.charCodeAt(0) ^ written.charCodeAt(0);
  return (bits & (bits - 1)) === 0 ? 'bitsquat' : 'substitution';
}
