import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { parseAddress } from '../names/address.ts';
import { classOf } from '../names/addressclass.ts';
import { createSyntheticAddresses } from './synthetic.ts';

function setup(capacity?: number) {
  let time = 0;
  const clock = { now: () => time, monotonic: () => time };
  const options = capacity === undefined ? { clock } : { clock, capacity };
  const synthetic = createSyntheticAddresses(options);
  return {
    synthetic,
    wait: (milliseconds: number) => {
      time += milliseconds;
    },
  };
}
const expired = 41_000;

describe('a synthetic address', () => {
  test('is of a range that leads nowhere, in both families', () => {
    const { synthetic } = setup();
    const four = synthetic.addressFor('a.example', 4)!;
    const six = synthetic.addressFor('a.example', 6)!;
    expect([four.text, six.text]).toEqual(['198.18.0.1', 'fd99:992b:5808:9a9d::1']);
    expect([classOf(four), classOf(six)]).toEqual(['benchmark', 'unique-local']);
  });

  test('stands for its name, in both families alike, and for no other', () => {
    const { synthetic } = setup();
    for (const name of ['a.example', 'b.example', 'a.example']) {
      for (const family of [6, 4] as const)
        expect(synthetic.nameOf(synthetic.addressFor(name, family)!)).toBe(name);
    }
    expect(synthetic.addressFor('b.example', 4)!.text).toBe('198.18.0.2');
  });

  test('that was not given out stands for nothing', () => {
    const { synthetic } = setup();
    synthetic.addressFor('a.example', 4);
    for (const text of [
      '198.18.0.0',
      '198.18.0.2',
      '198.20.0.1',
      '10.0.0.1',
      '::1',
      'fd99:992b:5808:9a9e::1',
      'fd99:992b:5808:9a9d:1::1',
      '::ffff:198.18.0.1',
    ])
      expect([text, synthetic.nameOf(parseAddress(text)!)]).toEqual([text, null]);
    expect(synthetic.covers(parseAddress('198.19.255.255')!)).toBe(true);
    expect(synthetic.covers(parseAddress('198.20.0.0')!)).toBe(false);
  });

  test('stays with its name long after its TTL while there is room', () => {
    const { synthetic, wait } = setup(2);
    const address = synthetic.addressFor('a.example', 4)!;
    wait(10 * expired);
    synthetic.addressFor('b.example', 4);
    expect(synthetic.nameOf(address)).toBe('a.example');
  });
});

describe('when every address is taken', () => {
  test('a new name gets none before a TTL has run out, then the one asked for longest ago', () => {
    const { synthetic, wait } = setup(2);
    const first = synthetic.addressFor('a.example', 4)!;
    wait(1_000);
    const second = synthetic.addressFor('b.example', 4)!;
    wait(1_000);
    synthetic.addressFor('a.example', 6);
    wait(37_000);
    expect(synthetic.addressFor('c.example', 4)).toBeNull();
    wait(2_000);
    expect(synthetic.addressFor('c.example', 4)!.text).toBe(second.text);
    expect(synthetic.nameOf(first)).toBe('a.example');
    expect(synthetic.nameOf(second)).toBe('c.example');
    expect(synthetic.addressFor('b.example', 4)).toBeNull();
  });

  test('an address in use stays with its name until a TTL after its last connection', () => {
    const { synthetic, wait } = setup(1);
    const address = synthetic.addressFor('a.example', 4)!;
    synthetic.retain(address);
    synthetic.retain(synthetic.addressFor('a.example', 6)!);
    wait(expired);
    expect(synthetic.addressFor('b.example', 4)).toBeNull();
    synthetic.release(address);
    wait(expired);
    expect(synthetic.addressFor('b.example', 4)).toBeNull();
    synthetic.release(address);
    wait(1_000);
    expect(synthetic.addressFor('b.example', 4)).toBeNull();
    wait(expired);
    expect(synthetic.addressFor('b.example', 4)!.text).toBe(address.text);
    synthetic.release(address);
    expect(synthetic.nameOf(address)).toBe('b.example');
  });
});

test('an address whose last connection has just ended is not given away at once', () => {
  const { synthetic, wait } = setup(1);
  const address = synthetic.addressFor('a.example', 4)!;
  synthetic.retain(address);
  wait(10 * expired);
  synthetic.release(address);
  expect(synthetic.addressFor('b.example', 4)).toBeNull();
});

test('a million names take bounded memory, and a name in use keeps its address', () => {
  const { synthetic, wait } = setup();
  const used = synthetic.addressFor('used.example', 4)!;
  synthetic.retain(used);
  let exhausted = 0;
  // What is alive: a busy process grows by what nobody has collected yet.
  const alive = () => {
    Bun.gc(true);
    return process.memoryUsage().heapUsed;
  };
  const before = alive();
  for (let i = 0; i < 1_000_000; i++) {
    if (
      synthetic.addressFor(`${i.toString(36).padStart(50, 'x')}.${'y'.repeat(50)}.evil.example`, 4) === null
    )
      exhausted++;
    if (i % 100 === 0) wait(200);
  }
  expect(exhausted).toBe(0);
  wait(0);
  for (let i = 0; i < 100_000; i++) if (synthetic.addressFor(`n${i}.evil.example`, 4) === null) exhausted++;
  expect(exhausted).toBeGreaterThan(50_000);
  expect(alive() - before).toBeLessThan(64 * 2 ** 20);
  expect(synthetic.nameOf(used)).toBe('used.example');
});

test('an address never changes its name while its TTL or a connection lasts, whatever happens', () => {
  const name = fc.integer({ min: 0, max: 9 }).map((i) => `n${i}.example`);
  const step = fc.record({
    name,
    act: fc.constantFrom('ask', 'retain', 'release', 'wait'),
    time: fc.nat(30_000),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { synthetic, wait } = setup(4);
      let now = 0;
      /** By address: the name it must still have, until when, and how many connections use it. */
      const promised = new Map<string, { name: string; until: number; uses: number }>();
      for (const { name, act, time } of steps) {
        if (act === 'wait') {
          wait(time);
          now += time;
        }
        const address = act === 'wait' ? null : synthetic.addressFor(name, 4);
        if (address !== null) {
          const promise = promised.get(address.text);
          if (promise !== undefined && promise.name !== name)
            expect([promise.uses, promise.until <= now]).toEqual([0, true]);
          const uses = promise?.name === name ? promise.uses : 0;
          if (act === 'retain') synthetic.retain(address);
          if (act === 'release') synthetic.release(address);
          const change = act === 'retain' ? 1 : act === 'release' ? -1 : 0;
          promised.set(address.text, { name, until: now + 30_000, uses: Math.max(0, uses + change) });
        }
        for (const [text, promise] of promised) {
          if (promise.uses > 0 || promise.until > now)
            expect(synthetic.nameOf(parseAddress(text)!)).toBe(promise.name);
        }
      }
    }),
    { numRuns: 300 },
  );
});
