import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { bucketOf, Counts } from './counts.ts';

const START = 1_700_000_000_000;

/** Adds up what lies in the window, event by event. */
function naive(events: readonly [number, number][], width: number, at: number, window: number): number {
  const end = Math.floor(at / width);
  const begin = end - Math.ceil(window / width);
  return events
    .filter(([time]) => Math.floor(time / width) > begin && Math.floor(time / width) <= end)
    .reduce((sum, [, count]) => sum + count, 0);
}

for (const width of [1_000, 60_000]) {
  test(`windows of buckets of ${width} ms hold what a naive count holds, whatever comes late and is forgotten`, () => {
    const longest = 20 * width;
    const step = fc.record({
      wait: fc.integer({ min: 0, max: 3 * width }),
      late: fc.integer({ min: 0, max: 5 * width }),
      count: fc.integer({ min: -2, max: 50 }),
      forget: fc.boolean(),
      window: fc.integer({ min: 1, max: 20 }).map((buckets) => buckets * width),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const counts = new Counts(width);
        const events: [number, number][] = [];
        let now = START;
        for (const { wait, late, count, forget, window } of steps) {
          now += wait;
          const time = now - late;
          counts.add(time, count);
          events.push([time, count]);
          if (forget) counts.forget(now, longest);
          expect(counts.within(now, window)).toBe(naive(events, width, now, window));
          expect(counts.total).toBe(events.reduce((sum, [, each]) => sum + each, 0));
          const leaving = counts.nextLeaving(now, window);
          if (leaving === Number.POSITIVE_INFINITY) continue;
          expect(leaving).toBeGreaterThan(now);
          expect(counts.within(leaving - 1, window)).toBe(naive(events, width, leaving - 1, window));
        }
      }),
      { numRuns: 300 },
    );
  });
}

test('a window is exact to the second up to an hour, and to the minute beyond', () => {
  expect(bucketOf(3_600_000)).toBe(1_000);
  expect(bucketOf(3_601_000)).toBe(60_000);
});

test('what is forgotten takes no room, however long it goes on', () => {
  const counts = new Counts(1_000);
  for (let n = 0; n < 20_000; n++) {
    counts.add(START + n * 1_000, 3);
    counts.forget(START + n * 1_000, 60_000);
    expect(counts.size).toBeLessThanOrEqual(60);
  }
  expect(counts.within(START + 19_999_000, 60_000)).toBe(180);
});
