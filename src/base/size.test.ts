import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { formatSize, parseSize } from './size.ts';

test.each([
  ['50 MB', 50_000_000],
  ['50MB', 50_000_000],
  ['1.5 GB', 1_500_000_000],
  ['50 MiB', 52_428_800],
  ['10 kB', 10_000],
  ['10 KB', 10_000],
  ['0 B', 0],
  ['50 mb', null],
  ['50', null],
  ['MB', null],
  ['-1 MB', null],
  ['1e3 MB', null],
  ['0.5 B', null],
  ['50  MB', null],
  ['5000 TB', null],
  ['99999999999999999999 B', null],
])('%s is %p octets', (text, octets) => {
  expect(parseSize(text)).toBe(octets as number);
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e15 }), (octets) => parseSize(formatSize(octets)) === octets),
  );
  expect([52_428_800, 50_000_000, 1_500_000_000, 1_024, 0].map(formatSize)).toEqual([
    '50 MiB',
    '50 MB',
    '1500 MB',
    '1 KiB',
    '0 B',
  ]);
});
