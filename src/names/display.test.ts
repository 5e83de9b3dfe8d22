import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { displayName, printable } from './display.ts';

describe('displayName', () => {
  test.each([
    ['example.com', 'example.com'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example (bücher.example)'],
    ['www.xn--gthub-n2e.com', 'www.xn--gthub-n2e.com (www.gіthub.com)'],
    ['xn--evil-.test', 'xn--evil-.test'],
    ['xn--a.xn--bcher-kva.example', 'xn--a.xn--bcher-kva.example (xn--a.bücher.example)'],
    ['a\x1b[2Jb', 'a\\x1b[2Jb'],
  ])('%p is shown as %p', (name, shown) => {
    expect(displayName(name)).toBe(shown);
  });
});

describe('printable', () => {
  test.each([
    ['plain text, with äöü and 例え', 'plain text, with äöü and 例え'],
    ['a\nb\rc\td\0', 'a\\nb\\rc\\td\\x00'],
    ['\x1b]0;title\x07', '\\x1b]0;title\\x07'],
    ['\x9b31m', '\\x9b31m'],
    ['\u202egro.elpmaxe', '\\u{202e}gro.elpmaxe'],
    ['a\u200bb\u2066c\ufeffd', 'a\\u{200b}b\\u{2066}c\\u{feff}d'],
    ['a\u00a0b\u2028c\u3164d', 'a\\xa0b\\u{2028}c\\u{3164}d'],
    ['\ud800x\u{e0041}', '\\u{d800}x\\u{e0041}'],
  ])('%p becomes %p', (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  test('leaves nothing that controls a terminal, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const shown of [printable(text), displayName(text), displayName(`xn--${text}`)])
          expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      }),
      { numRuns: 2_000 },
    );
  });
});
