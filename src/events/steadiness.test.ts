import { expect, test } from 'bun:test';
import { type Belief, believe, createSteadiness } from './steadiness.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const T = 1_790_000_000_000;

test('a clock that jumps is not believed until it has gone on for an hour', () => {
  const isSteady = createSteadiness();
  expect([isSteady(T, 0), isSteady(T + 10_000, 10_000)]).toEqual([true, true]);
  expect(isSteady(T + 40 * DAY, 20_000)).toBe(false);
  expect(isSteady(T + 40 * DAY + 10_000, 30_000)).toBe(false);
  expect(isSteady(T + 40_000, 40_000)).toBe(false);
  expect(isSteady(T + HOUR, HOUR)).toBe(false);
  expect(isSteady(T + HOUR + 50_000, HOUR + 50_000)).toBe(true);
});

test('a clock that is put right bit by bit has not jumped', () => {
  const isSteady = createSteadiness();
  for (let n = 0; n < 1_000; n++) expect(isSteady(T + n * 11_000, n * 10_000)).toBe(true);
});

test('of a program that has just started, a time is believed that follows on the last, or an hour later', () => {
  let belief: Belief = { believed: null, doubted: null };
  const isBelieved = (now: number) => {
    belief = believe(belief, now);
    return belief.believed === now;
  };
  expect([isBelieved(T), isBelieved(T + HOUR), isBelieved(T + HOUR + 1)]).toEqual([false, false, true]);
  expect([isBelieved(T + HOUR + 60_000), isBelieved(T + HOUR - 60_000)]).toEqual([true, true]);
  // Ahead for a while, and back.
  expect([isBelieved(T + 40 * DAY), isBelieved(T + 40 * DAY + 12_000)]).toEqual([false, false]);
  expect(isBelieved(T + HOUR)).toBe(true);
  // Seldom used: once a week.
  expect([isBelieved(T + 7 * DAY), isBelieved(T + 14 * DAY)]).toEqual([false, true]);
  expect([isBelieved(T + 21 * DAY), isBelieved(T + 61 * DAY)]).toEqual([false, false]);
});
