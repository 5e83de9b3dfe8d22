import { beforeEach, describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { closeDescriptor } from '../os/descriptors.ts';
import { openSharedMemory } from '../os/endpoints.ts';
import { keyOf, LEDGER_BYTES, Ledger } from './ledger.ts';

const DAY = 20_000;
const bot = keyOf('agent bot');
const other = keyOf('agent other');
let memory: Uint8Array;
let ledger: Ledger;
beforeEach(() => {
  memory = new Uint8Array(LEDGER_BYTES);
  ledger = new Ledger(memory);
});

describe('the ledger', () => {
  test('adds up what several workers count', () => {
    ledger.opened(0, bot, 5, DAY);
    ledger.opened(1, bot, 5, DAY);
    ledger.opened(1, other, 5, DAY);
    expect([ledger.openOf(bot), ledger.openOf(other), ledger.openedIn(bot, 5)]).toEqual([2, 1, 2]);
    ledger.closed(1, bot, DAY);
    expect([ledger.openOf(bot), ledger.openedIn(bot, 5), ledger.openedIn(bot, 6)]).toEqual([1, 2, 0]);
  });

  test('counts octets by the day', () => {
    ledger.sent(0, bot, 600, DAY);
    ledger.sent(1, bot, 400, DAY);
    expect(ledger.sentOn(bot, DAY)).toBe(1_000);
    ledger.sent(0, bot, 5, DAY + 1);
    expect([ledger.sentOn(bot, DAY), ledger.sentOn(bot, DAY + 1)]).toEqual([400, 5]);
  });

  test('begins a turn with each day, and none where the clock is set back', () => {
    const at = (days: number) => ledger.turn((DAY + days) * 86_400_000);
    const first = at(0.9);
    const second = at(1.1);
    expect(second).toBe(first + 1);
    // Back over midnight, and over it again.
    expect([at(0.95), at(1.05), at(1.9)]).toEqual([second, second, second]);
    expect(at(2)).toBe(second + 1);
    // A clock that was wrong by a month: what was counted meanwhile is counted on, until the next day.
    expect([at(32), at(2.5), at(2.9), at(3)]).toEqual([second + 2, second + 2, second + 2, second + 3]);
  });

  test('forgets the connections of a worker that has ended, not what it has sent', () => {
    ledger.opened(0, bot, 5, DAY);
    ledger.sent(0, bot, 600, DAY);
    ledger.ended(0);
    expect([ledger.openOf(bot), ledger.sentOn(bot, DAY)]).toEqual([0, 600]);
  });

  test('never counts below nothing', () => {
    ledger.closed(0, bot, DAY);
    expect(ledger.openOf(bot)).toBe(0);
  });

  test('counts what has no cell together with all else that has none, and so never too little', () => {
    const keys = Array.from({ length: 5_000 }, (_, each) => keyOf(`agent ${each}`));
    for (const key of keys) {
      ledger.opened(0, key, 5, DAY);
      ledger.sent(0, key, 10, DAY);
    }
    for (const key of keys) {
      expect(ledger.openOf(key)).toBeGreaterThanOrEqual(1);
      expect(ledger.sentOn(key, DAY)).toBeGreaterThanOrEqual(10);
    }
  });

  test('uses the cells of yesterday again', () => {
    for (let each = 0; each < 5_000; each++) ledger.sent(0, keyOf(`a${each}`), 10, DAY);
    for (let each = 0; each < 1_000; each++) ledger.sent(0, keyOf(`b${each}`), 10, DAY + 1);
    const exact = Array.from({ length: 1_000 }, (_, each) => ledger.sentOn(keyOf(`b${each}`), DAY + 1));
    expect(exact.filter((octets) => octets === 10).length).toBe(1_000);
  });

  test('is the same for everybody who maps the memory', () => {
    const fd = openSharedMemory('ledger', LEDGER_BYTES);
    const [here, there] = [1, 2].map(() => new Ledger(Bun.mmap(`/proc/self/fd/${fd}`, { shared: true })));
    here!.opened(3, bot, 5, DAY);
    expect(there!.openOf(bot)).toBe(1);
    closeDescriptor(fd);
  });

  test('agrees with a plain count, whoever opens and closes what', () => {
    const step = fc.record({ slot: fc.nat(3), name: fc.constantFrom('a', 'b', 'c'), opens: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const own = new Ledger(new Uint8Array(LEDGER_BYTES));
        const plain = new Map<string, number>();
        for (const { slot, name, opens } of steps) {
          const place = `${slot} ${name}`;
          const before = plain.get(place) ?? 0;
          if (opens) own.opened(slot, keyOf(name), 1, DAY);
          else own.closed(slot, keyOf(name), DAY);
          plain.set(place, Math.max(0, before + (opens ? 1 : -1)));
        }
        for (const name of ['a', 'b', 'c']) {
          const expected = [0, 1, 2, 3].reduce((sum, slot) => sum + (plain.get(`${slot} ${name}`) ?? 0), 0);
          expect(own.openOf(keyOf(name))).toBe(expected);
        }
      }),
      { numRuns: 50 },
    );
  });
});
