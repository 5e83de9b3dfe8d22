/** One slip of the finger, or of one bit in memory: the labels that somebody may have meant to write. */

export interface Slip {
  /** What was meant. */
  label: string;
  kind: 'omission' | 'repetition' | 'transposition' | 'keyboard' | 'bitsquat' | 'insertion' | 'substitution';
}

const CHARACTERS = [...'abcdefghijklmnopqrstuvwxyz0123456789-'];
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

/** Every label that one slip turns into `label`, likelier slips first. About 80 for each character. */
export function* slipsBefore(label: string): Generator<Slip> {
  for (let i = 0; i < label.length; i++) {
    const before = label.slice(0, i);
    const after = label.slice(i + 1);
    const here = label[i]!;
    if (here === label[i + 1]) yield { label: before + after, kind: 'repetition' };
    if (i + 1 < label.length && here !== label[i + 1])
      yield { label: before + label[i + 1] + here + label.slice(i + 2), kind: 'transposition' };
    for (const key of NEIGHBOURS.get(here) ?? '') yield { label: before + key + after, kind: 'keyboard' };
    for (let bit = 1; bit < 0x80; bit <<= 1) {
      const flipped = String.fromCharCode(here.charCodeAt(0) ^ bit);
      if (CHARACTERS.includes(flipped)) yield { label: before + flipped + after, kind: 'bitsquat' };
    }
  }
  for (let i = 0; i <= label.length; i++)
    for (const character of CHARACTERS)
      yield { label: label.slice(0, i) + character + label.slice(i), kind: 'omission' };
  for (let i = 0; i < label.length; i++) {
    const before = label.slice(0, i);
    const after = label.slice(i + 1);
    yield { label: before + after, kind: 'insertion' };
    for (const character of CHARACTERS) yield { label: before + character + after, kind: 'substitution' };
  }
}
