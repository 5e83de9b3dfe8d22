import { describe, expect, test } from 'bun:test';
import punycode from 'node:punycode';
import fc from 'fast-check';
import { unicodeOf } from './acelabel.ts';
import { decodePunycode } from './punycode.ts';

const unicode = fc.string({ unit: 'binary', maxLength: 20 });
const ascii = fc.string({ unit: fc.constantFrom(...'abcxyz0189-'), maxLength: 20 });

describe('decodePunycode', () => {
  test('decodes what another implementation encodes', () => {
    fc.assert(
      fc.property(unicode, (text) => {
        fc.pre(/[^\0-\x7f]/.test(text));
        expect(decodePunycode(punycode.encode(text))).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });

  test('decodes only what encodes back to itself, and never throws', () => {
    let read = 0;
    fc.assert(
      fc.property(ascii, (text) => {
        const decoded = decodePunycode(text);
        if (decoded === null) return;
        read++;
        expect(punycode.encode(decoded)).toBe(text);
      }),
      { numRuns: 5_000 },
    );
    expect(read).toBeGreaterThan(100);
  });
});

describe('unicodeOf', () => {
  test('reads no letter that the URL standard maps to another', () => {
    let read = 0;
    for (let code = 0x80; code < 0x20000; code++) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const text = `a${String.fromCodePoint(code)}a`;
      const label = `xn--${punycode.encode(text)}`;
      if (unicodeOf(label) !== text || !URL.canParse(`http://${text}.example/`)) continue;
      read++;
      if (new URL(`http://${text}.example/`).hostname !== `${label}.example`)
        throw new Error(`U+${code.toString(16)} is mapped`);
    }
    expect(read).toBeGreaterThan(50_000);
  });
});
