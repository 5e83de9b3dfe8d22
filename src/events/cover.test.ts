import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { cover } from './cover.ts';

const HOUR = 3_600_000;
const NOW = 1_790_000_000_000;

test('every moment asked about is covered once, and little else', () => {
  const time = fc.integer({ min: NOW - 40 * 24 * HOUR, max: NOW });
  fc.assert(
    fc.property(time, time, (a, b) => {
      const [since, until] = [Math.min(a, b), Math.max(a, b)];
      const stretches = cover(since, until, NOW, NOW - 3 * 24 * HOUR);
      if (since === until) return expect(stretches).toEqual([]);
      expect(stretches[0]!.from).toBeLessThanOrEqual(since);
      expect(stretches[0]!.from).toBeGreaterThan(since - HOUR);
      expect(stretches.at(-1)!.to).toBeGreaterThanOrEqual(until);
      expect(stretches.at(-1)!.to).toBeLessThan(until + HOUR);
      for (const [i, { span, from, to }] of stretches.entries()) {
        expect([from % span, to % span]).toEqual([0, 0]);
        expect(to).toBeGreaterThan(from);
        if (i > 0) expect(from).toBe(stretches[i - 1]!.to);
      }
    }),
  );
});

test('the last five minutes are answered to the second', () => {
  expect(cover(NOW - 300_000, NOW, NOW, null).at(0)).toMatchObject({ from: NOW - 300_000 });
});

test('the last day takes few stretches', () => {
  expect(cover(NOW - 24 * HOUR, NOW, NOW, null).length).toBeLessThanOrEqual(7);
});
