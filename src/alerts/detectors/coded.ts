/** Whether what stands before a registered domain looks like coded data (hexadecimal, base 32, base 64) and not like words. */

const SHORTEST = 12;
/** Bits for each character: what is made of few different ones carries little. */
const LEAST_ENTROPY = 2.7;

export function coded(before: string): boolean {
  // Words have vowels, and their digits stand apart: web-03, ip-10-0-0-1.
  const pieces = before
    .split(/[.-]/)
    .filter((piece) => piece.length >= 6 && (isMixed(piece) || isMute(piece)));
  const text = pieces.join('');
  return text.length >= SHORTEST && entropyOf(text) >= LEAST_ENTROPY;
}

/** Letters and digits by turns. */
function isMixed(piece: string): boolean {
  return (piece.match(/[a-z_](?=\d)|\d(?=[a-z_])/g)?.length ?? 0) >= Math.max(2, piece.length / 10);
}

/** More consonants together than anybody could say. */
function isMute(piece: string): boolean {
  return piece.length >= SHORTEST && /[bcdfghjklmnpqrstvwxz]{6}/.test(piece) && vowelShare(piece) < 0.3;
}

/** Shannon entropy of the text's own characters, in bits for each. */
function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

function vowelShare(text: string): number {
  return (text.match(/[aeiouy]/g)?.length ?? 0) / text.length;
}
