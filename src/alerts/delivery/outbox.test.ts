/** What waits to be delivered, and when it is tried. */
import type { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { AT, incidentOf } from '../channels/incident.fixture.ts';
import { later, refused } from '../channels/sent.ts';
import { openAlertsReading } from '../reading.ts';
import { openAlertStore } from '../store.ts';
import { backOff } from './backoff.ts';
import { createOutbox, keyOf, type Outbox } from './outbox.ts';

const HOUR = 3_600_000;
let folder: string;
let db: Database;
let now: number;
let asleep: number;
let outbox: Outbox;
const told: [string, string][] = [];
const clock = { now: () => now, monotonic: () => now - asleep };

function another(source?: string): Outbox {
  const owners = {
    own: `another/${crypto.randomUUID()}`,
    isGone: (owner: string) => owner.startsWith('dead'),
  };
  return createOutbox(db, clock, {
    ...(source === undefined ? {} : { source }),
    random: () => 1,
    owners,
    notice: (topic, text) => void told.push([topic, text]),
  });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'clawctl-outbox-'));
  db = openAlertStore(join(folder, 'alerts.db'));
  now = AT;
  asleep = 0;
  told.length = 0;
  outbox = another();
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

const DELIVERED = { state: 'delivered', detail: 'ok' } as const;
const incident = (id: string) => incidentOf({ id });

test('a message is there once, however often it is put there', () => {
  const keys = outbox.put(incident('a'), 'firing', ['oncall', 'a@b.test', 'oncall']);
  expect(outbox.put(incident('a'), 'firing', ['oncall'])).toEqual([keys[0]!]);
  expect(keys).toEqual([keyOf('a', 'firing', 'oncall'), keyOf('a', 'firing', 'a@b.test')]);
  expect(outbox.lanes().sort()).toEqual(['a@b.test', 'oncall']);
});

test('what is put there goes with the transaction that put it', () => {
  expect(() =>
    db.transaction(() => {
      outbox.put(incident('a'), 'firing', ['oncall']);
      throw new Error('no');
    })(),
  ).toThrow();
  expect(outbox.lanes()).toEqual([]);
});

test('one message is in one hand at a time, and free again when that is gone or too slow', () => {
  outbox.put(incident('a'), 'firing', ['oncall']);
  const taken = outbox.take('oncall')!;
  expect(taken.notification).toMatchObject({ transition: 'firing', time: AT, incident: { id: 'a' } });
  expect(another().take('oncall')).toBeNull();
  db.run("UPDATE delivery SET owner = 'dead'");
  expect(another().take('oncall')).not.toBeNull();
  expect(another().take('oncall')).toBeNull();
  now += 31_000;
  expect(another().take('oncall')?.id).toBe(taken.id);
});

test('what comes later about an incident does not overtake, and others are not held up', () => {
  outbox.put(incident('a'), 'firing', ['oncall']);
  outbox.put(incident('a'), 'resolved', ['oncall']);
  outbox.put(incident('b'), 'firing', ['oncall']);
  const first = outbox.take('oncall')!;
  expect(outbox.take('oncall')!.notification.incident.id).toBe('b');
  expect(outbox.take('oncall')).toBeNull();
  outbox.settle(first, DELIVERED);
  expect(outbox.take('oncall')!.notification.transition).toBe('resolved');
});

describe('a failure', () => {
  test('of everybody lets the lane rest, longer each time, and nobody else', () => {
    outbox.put(incident('a'), 'firing', ['oncall', 'a@b.test']);
    outbox.put(incident('b'), 'firing', ['oncall']);
    const waits = [1_000, 2_000, 4_000];
    for (const wait of waits) {
      outbox.settle(outbox.take('oncall')!, later('down'));
      expect(outbox.take('oncall')).toBeNull();
      expect(outbox.nextDue(['oncall'])).toBe(wait);
      now += wait;
    }
    expect(outbox.take('a@b.test')).not.toBeNull();
    outbox.settle(outbox.take('oncall')!, DELIVERED);
    expect(outbox.take('oncall')).not.toBeNull();
  });

  test('of one message delays that message alone', () => {
    outbox.put(incident('a'), 'firing', ['oncall']);
    outbox.put(incident('b'), 'firing', ['oncall']);
    outbox.settle(outbox.take('oncall')!, later('oops', null, false));
    expect(outbox.take('oncall')!.notification.incident.id).toBe('b');
    expect(outbox.take('oncall')).toBeNull();
  });

  test('waits for as long as the receiver asked', () => {
    outbox.put(incident('a'), 'firing', ['oncall']);
    outbox.settle(outbox.take('oncall')!, later('slow down', 90_000));
    now += 89_000;
    expect(outbox.take('oncall')).toBeNull();
    now += 1_000;
    expect(outbox.take('oncall')).not.toBeNull();
  });

  test('that is final, or lasts for a day, makes it a dead letter, which is told', () => {
    outbox.put(incident('a'), 'firing', ['oncall']);
    outbox.put(incident('b'), 'firing', ['oncall']);
    expect(outbox.settle(outbox.take('oncall')!, refused('no such user')).state).toBe('dead');
    for (; now < AT + 24 * HOUR; now += HOUR)
      expect(outbox.settle(outbox.take('oncall')!, later('down')).state).toBe('later');
    now += HOUR;
    expect(outbox.settle(outbox.take('oncall')!, later('down')).state).toBe('dead');
    expect(told.map(([topic]) => topic)).toEqual(['alert-undelivered', 'alert-undelivered']);
    expect(told[0]![1]).toContain('no such user');
    expect(outbox.lanes()).toEqual([]);
  });
});

describe('a message that is older than a day', () => {
  const fail = () => outbox.settle(outbox.take('oncall')!, later('down')).state;

  test('is tried for a while by a new process before it is dead', () => {
    outbox.put(incident('a'), 'firing', ['oncall']);
    fail();
    outbox = another();
    now += 48 * HOUR;
    expect(fail()).toBe('later');
    now += 5 * 60_000;
    expect(fail()).toBe('later');
    now += 5 * 60_000;
    expect(fail()).toBe('dead');
  });

  test('is tried for a while after the machine has slept, or its clock was set', () => {
    outbox.put(incident('a'), 'firing', ['oncall']);
    for (let n = 0; n < 3; n++, now += 900_000) expect(fail()).toBe('later');
    now += 48 * HOUR;
    asleep += 48 * HOUR;
    for (let n = 0; n < 2; n++, now += 900_000) expect(fail()).toBe('later');
    expect(fail()).toBe('dead');
  });

  test('is dead after a month where only short commands have tried it', () => {
    outbox.put(incident('a'), 'firing', ['oncall']);
    const states = [0, 20, 10].map((days) => {
      now += days * 25 * HOUR;
      outbox = another();
      return fail();
    });
    expect(states).toEqual(['later', 'later', 'dead']);
  });
});

test('what lacks configuration waits, for a month', () => {
  outbox.put(incident('a'), 'firing', ['oncall']);
  const lacking = { state: 'unconfigured', detail: 'no channel' } as const;
  now += 20 * 24 * HOUR;
  expect(outbox.settle(outbox.take('oncall')!, lacking).state).toBe('unconfigured');
  now += 20 * 24 * HOUR;
  expect(outbox.settle(outbox.take('oncall')!, lacking).state).toBe('dead');
});

test('a clock that was set back holds nothing up', () => {
  now += 30 * 24 * HOUR;
  outbox.put(incident('a'), 'firing', ['oncall']);
  outbox.settle(outbox.take('oncall')!, later('down'));
  now -= 20 * 24 * HOUR;
  expect(outbox.take('oncall')).not.toBeNull();
});

test('a clock that was set back by an hour holds up neither what waits nor what was tried in vain', () => {
  now += HOUR;
  outbox.put(incident('a'), 'firing', ['oncall', 'other']);
  outbox.settle(outbox.take('oncall')!, later('down'));
  now -= HOUR;
  expect(outbox.take('other')).not.toBeNull();
  outbox.settle(outbox.take('oncall')!, later('down'));
  expect(outbox.take('oncall')).toBeNull();
  now += 5_000;
  expect(outbox.take('oncall')).not.toBeNull();
});

test('delivered is told and forgotten after a month', () => {
  outbox.put(incident('a'), 'firing', ['oncall']);
  outbox.settle(outbox.take('oncall')!, DELIVERED);
  expect(told).toEqual([
    ['alert-delivered', `blocked_request_spike firing (a) to oncall, ${keyOf('a', 'firing', 'oncall')}: ok`],
  ]);
  now += 31 * 24 * HOUR;
  outbox.forget();
  expect(db.query('SELECT count(*) AS n FROM delivery').get()).toEqual({ n: 0 });
});

test('the wait grows within bounds, is never less than was asked for, and is not the same for all', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.option(fc.integer({ min: 0, max: HOUR })),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (failures, wish, random) => {
        const wait = backOff(failures, wish, random);
        expect(Number.isInteger(wait)).toBe(true);
        expect(wait).toBeGreaterThanOrEqual(Math.max(wish ?? 0, 500));
        expect(wait).toBeLessThanOrEqual(Math.max(wish ?? 0, 900_000));
        expect(backOff(failures + 1, null, random)).toBeGreaterThanOrEqual(backOff(failures, null, random));
      },
    ),
  );
  expect(backOff(5, null, 0)).not.toBe(backOff(5, null, 0.9));
});

describe('of several policies', () => {
  const to = (lane: string, source: string | null) => ({ lane, source });

  test('a message leaves by the channels of the one that names its lane, and waits for a process of it', () => {
    const [one, two] = [another('/one.yaml'), another('/two.yaml')];
    one.put(incident('a'), 'firing', [to('oncall', '/one.yaml'), to('oncall', '/two.yaml')]);
    one.put(incident('b'), 'firing', [to('desk', '/two.yaml')]);
    expect([one.lanes(), two.lanes().sort(), outbox.lanes()]).toEqual([['oncall'], ['desk', 'oncall'], []]);
    expect(one.take('desk')).toBeNull();
    const first = one.take('oncall')!;
    expect(one.take('oncall')).toBeNull();
    const second = two.take('oncall')!;
    expect(second.notification.key).not.toBe(first.notification.key);
    one.settle(first, later('down'));
    two.settle(second, DELIVERED);
    two.put(incident('c'), 'firing', [to('oncall', '/two.yaml')]);
    one.put(incident('c'), 'firing', [to('oncall', '/one.yaml')]);
    expect(one.take('oncall')).toBeNull(); // its channel rests, the other's does not
    expect(two.take('oncall')).not.toBeNull();
    expect(one.nextDue(['oncall', 'desk'])).toBe(1_000);
  });

  test('an address is one, and any may write to it', () => {
    outbox.put(incident('a'), 'firing', [to('a@b.test', '/one.yaml'), to('a@b.test', '/two.yaml')]);
    expect(another('/three.yaml').take('a@b.test')).not.toBeNull();
    expect(another('/one.yaml').take('a@b.test')).toBeNull();
  });

  test('what waits for one that is in use no more is given up in the end', () => {
    outbox.put(incident('a'), 'firing', [to('oncall', '/one.yaml')]);
    now += 31 * 24 * HOUR;
    another('/one.yaml').forget();
    expect(another('/one.yaml').lanes()).toEqual(['oncall']);
    another('/two.yaml').forget();
    expect(another('/one.yaml').lanes()).toEqual([]);
    expect(told).toMatchObject([['alert-undelivered', expect.stringContaining('no process of its policy')]]);
  });

  test('a store of an older version is gone on with, and any may take what waits in it', () => {
    const path = join(folder, 'older.db');
    const older = openAlertStore(path);
    older.run('ALTER TABLE delivery DROP COLUMN source');
    older.run(`INSERT INTO delivery (key, lane, incident, body, state, made, due, attempts)
      VALUES ('k', 'oncall', 'a', '{}', 'waiting', ${now}, ${now}, 0)`);
    const reading = openAlertsReading(path)!;
    expect(reading.standing().waiting).toMatchObject([{ lane: 'oncall', source: null }]);
    expect(reading.due(now, '/one.yaml')).toEqual(['oncall']);
    expect(reading.deliveries({ limit: 1 })).toMatchObject([{ key: 'k', source: null }]);
    reading.close();
    older.close();
    const mended = openAlertStore(path);
    expect(createOutbox(mended, clock, { source: '/one.yaml' }).take('oncall')).not.toBeNull();
    mended.close();
  });
});
