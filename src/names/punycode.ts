/** Punycode (RFC 3492): the ASCII form of a label with other letters, without its `xn--`. */

const BASE = 36;
const TMIN = 1;
const TMAX = 26;
const SKEW = 38;
const DAMP = 700;
const DELIMITER = '-';
const LAST_CODE_POINT = 0x10ffff;

/**
 * Section 6.2. Null where the text is not Punycode; the result may still be no valid label. Every text has its own
 * result, because each number in it has one spelling (section 3.3): what can be decoded encodes back to the same text.
 */
export function decodePunycode(text: string): string | null {
  const delimiter = text.lastIndexOf(DELIMITER);
  const output: number[] = [];
  for (let i = 0; i < delimiter; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return null;
    output.push(code);
  }
  let n = 0x80;
  let i = 0;
  let bias = 72;
  let at = delimiter > 0 ? delimiter + 1 : 0;
  while (at < text.length) {
    const before = i;
    let weight = 1;
    for (let k = BASE; ; k += BASE) {
      const digit = digitOf(text.charCodeAt(at++));
      if (digit < 0) return null;
      i += digit * weight;
      if (i > Number.MAX_SAFE_INTEGER / BASE) return null;
      const threshold = thresholdOf(k, bias);
      if (digit < threshold) break;
      weight *= BASE - threshold;
    }
    const length = output.length + 1;
    bias = adapt(i - before, length, before === 0);
    n += Math.floor(i / length);
    i %= length;
    if (n > LAST_CODE_POINT || (n >= 0xd800 && n <= 0xdfff)) return null;
    output.splice(i++, 0, n);
  }
  return String.fromCodePoint(...output);
}

/** Section 6.1. */
function adapt(delta: number, length: number, first: boolean): number {
  let rest = Math.floor(delta / (first ? DAMP : 2));
  rest += Math.floor(rest / length);
  let k = 0;
  for (; rest > ((BASE - TMIN) * TMAX) / 2; k += BASE) rest = Math.floor(rest / (BASE - TMIN));
  return k + Math.floor(((BASE - TMIN + 1) * rest) / (rest + SKEW));
}

function thresholdOf(k: number, bias: number): number {
  return Math.min(TMAX, Math.max(TMIN, k - bias));
}

/** Section 5: a to z are 0 to 25, 0 to 9 are 26 to 35. NaN, beyond the end of the text, is no digit. */
function digitOf(code: number): number {
  if (code >= 0x61 && code <= 0x7a) return code - 0x61;
  if (code >= 0x30 && code <= 0x39) return code - 0x30 + 26;
  return -1;
}
