import { describe, expect, test } from 'bun:test';
import { readName, writeName } from './labels.ts';

const label = (length: number) => [length, ...Array(length).fill(0x61)];
const read = (bytes: number[], start = 0) => readName(Uint8Array.from(bytes), start);

describe('a name', () => {
  test('is read as it was written', () => {
    for (const name of ['', 'example', 'a.b_c.Exam-ple'])
      expect(readName(writeName(name), 0)).toEqual({ name, end: writeName(name).length });
  });

  test('shows octets that host names do not use as numbers, so that no dot is invented', () => {
    expect(read([3, 0x61, 0x2e, 0x62, 1, 0xfc, 0])?.name).toBe('a\\046b.\\252');
  });

  test('has labels of at most 63 octets and at most 255 in all', () => {
    expect(read([...label(63), 0])?.name.length).toBe(63);
    for (const first of [64, 0x80, 0xbf]) expect(read([...label(first), 0])).toBeNull();
    expect(read([...label(63), ...label(63), ...label(63), ...label(61), 0])?.end).toBe(255);
    expect(read([...label(63), ...label(63), ...label(63), ...label(62), 0])).toBeNull();
  });

  test('may go on at an earlier place only', () => {
    const earlier = [1, 0x61, 0, 1, 0x62, 0xc0, 0];
    expect(read(earlier, 3)).toEqual({ name: 'b.a', end: 7 });
    expect(read([0xc0, 2, 1, 0x61, 0])).toBeNull();
    expect(read([1, 0x61, 0xc0, 0])).toBeNull();
    expect(readName(Uint8Array.from(earlier), 3, { compressed: false })).toBeNull();
  });

  test('is not followed through more pointers than a name has labels', () => {
    const chain = [0, ...Array.from({ length: 200 }, (_, i) => [0xc0, i === 0 ? 0 : 2 * i - 1]).flat()];
    expect(read(chain, 2 * 127 - 1)).toEqual({ name: '', end: 2 * 127 + 1 });
    expect(read(chain, 2 * 128 - 1)).toBeNull();
  });

  test('that is cut off is malformed', () => {
    for (const bytes of [[], [3, 0x61], [1, 0x61], [0xc0]]) expect(read(bytes)).toBeNull();
  });
});
