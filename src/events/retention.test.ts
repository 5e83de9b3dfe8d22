import type { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { signingKey } from './checkpoint.ts';
import { createCommit } from './commit.ts';
import { allowed, denied, newStore } from './event.fixture.ts';
import { createFolding } from './folding.ts';
import type { Limits } from './limits.ts';
import { openQueries } from './queries.ts';
import { openRecorder } from './recorder.ts';
import { createRetention } from './retention.ts';
import { type Row, rowOf } from './row.ts';
import { makeFolder, openStore } from './store.ts';
import { verifyStore } from './verify.ts';

const DAY = 86_400_000;
const NOW = Date.now();

function open() {
  const store = newStore();
  makeFolder(store);
  const db = openStore(store);
  const key = signingKey(store);
  const commit = createCommit(db, key);
  return {
    ...{ store, db },
    commit: (rows: Row[]) => {
      for (let i = 0; i < rows.length; i += 500) commit(rows.slice(i, i + 500));
    },
    keep: (limits: Limits, now = NOW, { isBelieved = true, isSteady = true } = {}) => {
      // A connection of its own, as the keeper has.
      const step = createRetention(openStore(store), key, limits, (work) => work());
      if (isBelieved) db.run('INSERT OR REPLACE INTO clock VALUES (1, ?, NULL)', [now]);
      let steps = 0;
      while (step(now, isSteady)) if (++steps > 10_000) throw new Error('retention does not end');
      return steps;
    },
  };
}

const rows = (count: number, row: (n: number) => Row) => Array.from({ length: count }, (_, n) => row(n));
const left = (db: Database, agent: string, lane: string) =>
  (
    db
      .query(
        'SELECT count(*) AS n FROM event JOIN chain ON chain.id = event.chain WHERE agent = ? AND lane = ?',
      )
      .get(agent, lane) as { n: number }
  ).n;

test('what is too old goes, in small steps, and the chain stays good', () => {
  const { store, db, commit, keep } = open();
  commit(
    rows(1_000, (n) => rowOf(allowed({ time: NOW - 31 * DAY, connection: n, host: `old${n}.example` }))),
  );
  commit(rows(500, (n) => rowOf(denied({ time: NOW - DAY, connection: n }))));
  commit(rows(10, (n) => rowOf(allowed({ time: NOW, connection: n }))));
  expect(keep({ age: 30 * DAY, bytes: 2 ** 30 })).toBeGreaterThan(4);
  expect([left(db, 'claude', 'through'), left(db, 'claude', 'refused')]).toEqual([10, 500]);
  expect(db.query('SELECT count(*) AS n FROM host').get()).toEqual({ n: 1_002 });
  expect(keep({ age: 30 * DAY, bytes: 2 ** 30 }, NOW + DAY)).toBeGreaterThan(0);
  expect(db.query('SELECT name FROM host ORDER BY name').values()).toEqual([
    ['api.example.com'],
    ['evil.example'],
  ]);
  expect(verifyStore(store)).toEqual({ ok: true, rows: 510, evicted: 1_000 });
  commit([rowOf(allowed())]);
  expect(verifyStore(store)).toEqual({ ok: true, rows: 511, evicted: 1_000 });
});

test('a clock that is not believed erases nothing, except where space is short', () => {
  const { store, db, commit, keep } = open();
  commit(rows(1_000, (n) => rowOf(denied({ time: NOW - n * 60_000, connection: n }))));
  const limits = { age: 30 * DAY, bytes: 2 ** 30 };
  const kept = () => [
    left(db, 'claude', 'refused'),
    ...db.query('SELECT count(*) FROM total GROUP BY span').values().flat(),
    ...db.query('SELECT count(*) FROM host').values().flat(),
  ];
  keep(limits);
  const before = kept();
  // In a program that has seen it jump, in one that has just started, and in one that starts once more.
  keep(limits, NOW + 40 * DAY, { isBelieved: false, isSteady: false });
  for (const later of [0, 12_000]) keep(limits, NOW + 40 * DAY + later, { isBelieved: false });
  expect(kept()).toEqual(before);
  expect(openQueries(store).stats({ since: NOW - DAY, until: NOW + 1 }).blocked).toBe(1_000);
  keep(limits, NOW + 42 * DAY, { isBelieved: false, isSteady: false });
  expect(kept()).toEqual(before);
  keep({ ...limits, bytes: 2 ** 17 }, NOW + 40 * DAY + 24_000, { isBelieved: false });
  expect(left(db, 'claude', 'refused')).toBeLessThan(1_000);
  keep(limits, NOW + 40 * DAY + 3_700_000, { isBelieved: false });
  expect(left(db, 'claude', 'refused')).toBe(0);
});

test('sequence numbers go on where everything was evicted', () => {
  const { store, db, commit, keep } = open();
  commit(rows(5, () => rowOf(allowed({ time: NOW - 31 * DAY }))));
  keep({ age: 30 * DAY, bytes: 2 ** 30 });
  commit([rowOf(allowed())]);
  expect(db.query('SELECT sequence FROM event').values()).toEqual([[6]]);
  expect(verifyStore(store)).toEqual({ ok: true, rows: 1, evicted: 5 });
});

test('short of space, a flood pays for itself: neither other agents nor what was let through give way', () => {
  const { store, db, commit, keep } = open();
  commit(rows(300, (n) => rowOf(allowed({ agent: 'quiet', connection: n }))));
  commit(rows(300, (n) => rowOf(allowed({ agent: 'noisy', connection: n }))));
  commit(rows(20_000, (n) => rowOf(denied({ agent: 'noisy', connection: n, host: `h${n % 50}.example` }))));
  keep({ age: 30 * DAY, bytes: 2 ** 20 });
  expect([left(db, 'quiet', 'through'), left(db, 'noisy', 'through')]).toEqual([300, 300]);
  expect(left(db, 'noisy', 'refused')).toBeLessThan(10_000);
  expect(left(db, 'noisy', 'refused')).toBeGreaterThan(300);
  expect(verifyStore(store).ok).toBe(true);
});

test('a flood of names pays for itself: its totals are joined, and the store stays within its size', () => {
  const { store, db, commit, keep } = open();
  const quiet = (n: number) => rowOf(denied({ agent: 'quiet', connection: n, host: `q${n}.example` }));
  commit(rows(500, quiet));
  commit(rows(5, (n) => rowOf(allowed({ agent: 'noisy', connection: n, host: `used${n}.example` }))));
  const HOUR = 3_600_000;
  // Ten days of names that are asked for once.
  const name = (n: number) => ({
    agent: 'noisy',
    time: NOW - 240 * HOUR + n * 36_000,
    host: `h${n}.evil.example`,
  });
  commit(rows(24_000, (n) => rowOf(denied({ connection: n, ...name(n) }))));
  const limits = { age: 30 * DAY, bytes: 4 * 2 ** 20 };
  keep(limits);
  const used = () =>
    db
      .query(
        'SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size',
      )
      .values()[0]![0];
  expect(used()).toBeLessThanOrEqual(limits.bytes);
  expect(left(db, 'quiet', 'refused')).toBe(500);
  expect(left(db, 'noisy', 'refused')).toBeGreaterThan(1_000);
  const queries = openQueries(store);
  const filter = { since: NOW - 20 * DAY, until: Date.now() + 1_000 };
  const figures = queries.stats({ ...filter, by: 'agent' }).groups;
  expect(figures).toMatchObject([
    { name: 'noisy', requests: 24_005, blocked: 24_000 },
    { name: 'quiet', requests: 500, blocked: 500 },
  ]);
  const blocked = queries.blocked(filter);
  expect(blocked.filter(({ agent }) => agent === 'quiet')).toHaveLength(500);
  expect(blocked[0]).toMatchObject({ host: '(other)', port: 0, agent: 'noisy', reason: 'no-rule' });
  expect(queries.lastUse(Date.now())).toHaveLength(5);
  expect(db.query('SELECT count(*) FROM total WHERE host NOT IN (SELECT id FROM host)').values()).toEqual([
    [0],
  ]);
  // What was joined is still what the rows say, as far as they are there.
  expect(verifyStore(store).ok).toBe(true);
});

test('a host that rows come for while it is joined is not forgotten', () => {
  const { db, commit } = open();
  commit(rows(3, (n) => rowOf(denied({ connection: n, host: `h${n}.example` }))));
  const folding = createFolding(openStore(db.filename), 1);
  expect(folding.weigh().get('claude')).toEqual({ totals: 12, hosts: 3 });
  expect(folding.prepare('claude')).toBe(true);
  commit([rowOf(denied({ host: 'h1.example' }))]);
  expect(folding.step()).toEqual({ totals: 12, hosts: 0 });
  commit([rowOf(denied({ host: 'h2.example', time: NOW - DAY }))]);
  expect(folding.step()).toEqual({ totals: 0, hosts: 3 });
  const names = db.query('SELECT name FROM host ORDER BY name').values().flat();
  expect(names).toEqual(['(other)', 'h1.example', 'h2.example']);
  expect(db.query('SELECT sum(blocked) FROM total WHERE span = 3600000').values()).toEqual([[5]]);
  expect(db.query('SELECT count(*) FROM total WHERE host NOT IN (SELECT id FROM host)').values()).toEqual([
    [0],
  ]);
});

test('refusals outlive a flood of what was let through', () => {
  const { db, commit, keep } = open();
  commit(rows(300, (n) => rowOf(denied({ connection: n }))));
  commit(rows(20_000, (n) => rowOf(allowed({ connection: n }))));
  keep({ age: 30 * DAY, bytes: 2 ** 20 });
  expect(left(db, 'claude', 'refused')).toBe(300);
});

test('totals outlive rows: seconds go after an hour, minutes after days, longer ones with the rows', () => {
  const { db, commit, keep } = open();
  commit([rowOf(allowed({ time: NOW - 2 * 3_600_000 }))]);
  commit([rowOf(allowed({ time: NOW - 9 * DAY }))]);
  keep({ age: 30 * DAY, bytes: 2 ** 30 });
  const spans = db.query('SELECT span, count(*) FROM total GROUP BY span ORDER BY span').values();
  expect(spans).toEqual([
    [60_000, 1],
    [3_600_000, 2],
    [21_600_000, 2],
  ]);
});

test('a running recorder keeps its store within bounds by itself', async () => {
  const store = newStore();
  const recorder = openRecorder({ store, limits: { age: 30 * DAY, bytes: 2 ** 20 } });
  for (let n = 0; n < 10_000; n += 500) {
    const batch = Array.from({ length: 500 }, (_, i) => recorder.decide(allowed({ connection: n + i })));
    await Promise.all(batch);
  }
  const evicted = () => {
    const checked = verifyStore(store);
    return checked.ok ? checked.evicted : Number.NaN;
  };
  const end = Date.now() + 10_000;
  while (evicted() < 2_000 && Date.now() < end) await Bun.sleep(100);
  expect(evicted()).toBeGreaterThanOrEqual(2_000);
  expect(openQueries(store).stats({ since: NOW - DAY, until: Date.now() + 1_000 }).requests).toBe(10_000);
  await recorder.close();
}, 20_000);
