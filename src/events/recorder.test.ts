import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Failure } from '../base/failure.ts';
import { lockFile } from '../os/lock.ts';
import { allowed, closed, denied, newStore, refusal } from './event.fixture.ts';
import { openQueries } from './queries.ts';
import { openRecorder } from './recorder.ts';
import { verifyStore } from './verify.ts';

/** What is in the first file of the only journal beside the store. */
function journalOf(store: string): string {
  const name = readdirSync(dirname(store)).find((name) => /\.journal-.*\.0$/.test(name))!;
  return readFileSync(join(dirname(store), name), 'utf8');
}

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!holds() && Date.now() < end) await Bun.sleep(5);
  expect(holds()).toBe(true);
}

const recent = () => ({ since: Date.now() - 60_000, until: Date.now() + 60_000 });

test('a decision is written down when its promise resolves, and in the store before long', async () => {
  const store = newStore();
  const recorder = openRecorder({ store });
  expect(await recorder.decide(allowed({ connection: 7 }))).toBe(true);
  expect(journalOf(store).replace(/\0+$/, '')).toMatch(/^1 \["claude","through",.*,7,"tcp",.*\]\n$/);
  await until(() => openQueries(store).lastSequence() > 0);
  expect(openQueries(store).tail(0, 10)).toMatchObject([
    {
      kind: 'decision',
      sequence: 1,
      connection: 7,
      agent: 'claude',
      verdict: 'allow',
      rule: 'egress.yaml:12',
      count: 1,
    },
  ]);
  await recorder.close();
  expect(await recorder.decide(allowed())).toBe(false);
});

test('the store, its log and its key are for their owner alone', async () => {
  const store = newStore();
  mkdirSync(dirname(store), { mode: 0o755 });
  const recorder = openRecorder({ store });
  await recorder.decide(allowed());
  expect(statSync(dirname(store)).mode & 0o777).toBe(0o700);
  for (const file of [
    store,
    `${store}-wal`,
    `${store}-shm`,
    `${store}.lock`,
    `${dirname(store)}/egress.key`,
  ]) {
    expect([file, statSync(file).mode & 0o777]).toEqual([file, 0o600]);
  }
  await recorder.close();
});

test('a later refusal moves one count from allowed to blocked, a close adds bytes and failures', async () => {
  const store = newStore();
  const recorder = openRecorder({ store });
  await recorder.decide(allowed({ connection: 1 }));
  await recorder.decide(allowed({ connection: 2 }));
  await recorder.decide(allowed({ connection: 3 }));
  await recorder.decide(denied({ connection: 4 }));
  recorder.note(refusal({ connection: 2 }));
  recorder.note(closed({ connection: 1, bytesUp: 100, bytesDown: 1_000 }));
  recorder.note(
    closed({ connection: 3, outcome: 'failed', reason: 'connect-failed', bytesUp: 0, bytesDown: 0 }),
  );
  await recorder.close();
  expect(openQueries(store).stats(recent())).toMatchObject({
    ...{ requests: 4, allowed: 2, blocked: 2, failed: 1, bytesUp: 100, bytesDown: 1_000 },
    ...{ hosts: 2, blockedHosts: 2, agents: 1, newBlockedHosts: expect.arrayContaining(['evil.example']) },
  });
});

test('identical refusals within a second are one row with a count, and every one is counted', async () => {
  const store = newStore();
  const recorder = openRecorder({ store });
  const answers = Array.from({ length: 500 }, (_, connection) => recorder.decide(denied({ connection })));
  expect((await Promise.all(answers)).every(Boolean)).toBe(true);
  await recorder.close();
  const rows = openQueries(store).tail(0, 100);
  expect(rows.map(({ count }) => count)).toEqual([1, 499]);
  expect(openQueries(store).blocked(recent())).toMatchObject([
    { host: 'evil.example', port: 443, count: 500 },
  ]);
});

test('repeated refusals are written within two seconds without being asked for', async () => {
  const store = newStore();
  const recorder = openRecorder({ store });
  await recorder.decide(denied());
  await recorder.decide(denied());
  const queries = openQueries(store);
  const end = Date.now() + 5_000;
  while (queries.lastSequence() < 2 && Date.now() < end) await Bun.sleep(50);
  expect(queries.blocked(recent())).toMatchObject([{ count: 2 }]);
  await recorder.close();
});

test('a flood of distinct hosts folds into their domain, then into others, and totals stay exact', async () => {
  await import('../names/suffix.ts'); // a flood has to last until it is loaded
  const store = newStore();
  const recorder = openRecorder({ store });
  await recorder.decide(allowed());
  const time = Date.now();
  const flood = (n: number) => recorder.decide(denied({ time, host: `h${n}.evil.example`, connection: n }));
  for (let n = 0; n < 5_000; n += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, i) => flood(n + i)));
    await recorder.flush();
  }
  recorder.note(closed());
  await recorder.close();
  const queries = openQueries(store);
  const rows = queries.blocked(recent());
  expect(rows.length).toBeLessThanOrEqual(1_003);
  expect(rows.reduce((sum, { count }) => sum + count, 0)).toBe(5_000);
  expect(rows.map(({ host }) => host)).toContain('(evil.example)');
  expect(queries.stats(recent())).toMatchObject({ requests: 5_001, allowed: 1, blocked: 5_000 });
  expect(queries.tail(0, 10_000).at(0)).toMatchObject({ host: 'api.example.com' });
  expect(queries.lastSequence()).toBeLessThan(1_100);
});

test('two recorders share a store, and its chain holds', async () => {
  const store = newStore();
  const [a, b] = [openRecorder({ store }), openRecorder({ store })];
  const both = Array.from({ length: 300 }, (_, n) => (n % 2 ? a : b).decide(allowed({ connection: n })));
  expect((await Promise.all(both)).every(Boolean)).toBe(true);
  await Promise.all([a.close(), b.close()]);
  expect(verifyStore(store)).toEqual({ ok: true, rows: 300, evicted: 0 });
  expect(openQueries(store).stats(recent())).toMatchObject({ requests: 300, allowed: 300 });
});

test('a store that another program locks soon refuses, resumes by itself, and nothing is lost', async () => {
  const store = newStore();
  const failures: Failure[] = [];
  const recorder = openRecorder({ store, onFailure: (failure) => failures.push(failure) });
  await recorder.decide(allowed({ connection: 1 }));
  const other = new Database(store);
  other.run('BEGIN EXCLUSIVE');
  const began = performance.now();
  expect(await recorder.decide(allowed({ connection: 2 }))).toBe(true);
  await until(() => !recorder.writable);
  expect(performance.now() - began).toBeLessThan(1_000);
  expect(await recorder.decide(allowed({ connection: 3 }))).toBe(false);
  recorder.note(closed({ connection: 1 }));
  other.run('COMMIT');
  other.close();
  await until(() => recorder.writable);
  expect(await recorder.decide(allowed({ connection: 4 }))).toBe(true);
  await recorder.close();
  expect(failures.map(({ code }) => code)).toEqual(['store-unwritable']);
  const queries = openQueries(store);
  expect(queries.stats(recent())).toMatchObject({ requests: 4, allowed: 3, blocked: 1, bytesUp: 10 });
  expect(queries.blocked(recent())).toMatchObject([{ reason: 'audit-unavailable', count: 1 }]);
  expect(queries.tail(0, 100).filter(({ kind }) => kind === 'notice')).toMatchObject([
    { topic: 'store-failed' },
  ]);
  expect(verifyStore(store).ok).toBe(true);
});

test('a store that is taken away is begun again', async () => {
  const store = newStore();
  const recorder = openRecorder({ store });
  await recorder.decide(allowed());
  await recorder.flush();
  for (const part of ['', '-wal', '-shm']) unlinkSync(store + part);
  expect(await recorder.decide(allowed({ connection: 2 }))).toBe(true);
  await recorder.flush();
  expect(openQueries(store).tail(0, 10)).toMatchObject([
    { topic: 'store-replaced', text: expect.stringContaining('removed or emptied') },
    { connection: 2, sequence: 2 },
  ]);
  await recorder.close();
});

test('a store that does not answer to begin with is no store, and keeps nobody waiting', async () => {
  const store = newStore();
  await openRecorder({ store }).close();
  const file = openSync(`${store}.lock`, 'a');
  lockFile(file, true);
  const recorder = openRecorder({ store, patience: 300 });
  const asked = recorder.decide(allowed());
  expect(recorder.opened).rejects.toThrow('does not answer');
  expect(await asked).toBe(false);
  await recorder.close();
  closeSync(file);
});

test('a clock that steps back harms nothing: rows keep their order', async () => {
  const store = newStore();
  const recorder = openRecorder({ store });
  const now = Date.now();
  await recorder.decide(allowed({ time: now, connection: 1 }));
  await recorder.decide(allowed({ time: now - 3_600_000, connection: 2 }));
  await recorder.decide(denied({ time: now - 7_200_000, connection: 3 }));
  await recorder.close();
  const rows = openQueries(store).tail(0, 10);
  expect(rows.map((row) => [row.sequence, 'connection' in row && row.connection])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
  expect(verifyStore(store)).toEqual({ ok: true, rows: 3, evicted: 0 });
});

test('text is bounded and comes back as it was hashed', async () => {
  const store = newStore();
  const recorder = openRecorder({ store });
  const text = `\u0000\ud800 ${'x'.repeat(5_000)}`;
  recorder.note({
    kind: 'notice',
    time: 1.5,
    agent: 'claude',
    session: text,
    topic: 'policy-rejected',
    text,
  });
  recorder.note(refusal({ detail: text, port: Number.NaN, connection: 2 ** 60 }));
  await recorder.close();
  expect(verifyStore(store)).toEqual({ ok: true, rows: 2, evicted: 0 });
  const [notice] = openQueries(store).tail(0, 10);
  expect(notice!.kind === 'notice' && notice!.text.length).toBe(1_000);
});

test('a thread that hangs is not waited for: new decisions are refused until it answers, and none is lost', async () => {
  const store = newStore();
  const recorder = openRecorder({ store });
  await recorder.opened;
  const file = openSync(`${store}.lock`, 'a');
  lockFile(file, true);
  const began = performance.now();
  expect(await recorder.decide(allowed({ connection: 1 }))).toBe(true);
  expect(await recorder.decide(allowed({ connection: 2 }))).toBe(true);
  await until(() => !recorder.writable);
  expect(performance.now() - began).toBeLessThan(1_000);
  expect(await recorder.decide(allowed({ connection: 3 }))).toBe(false);
  closeSync(file);
  await until(() => recorder.writable);
  expect(await recorder.decide(allowed({ connection: 4 }))).toBe(true);
  await recorder.close();
  expect(openQueries(store).stats(recent())).toMatchObject({ requests: 4, allowed: 3, blocked: 1 });
});

test('an end does not wait long for a store that does not answer, and what was said comes in later', async () => {
  const store = newStore();
  await openRecorder({ store }).close();
  const recorder = openRecorder({ store });
  await recorder.opened;
  const file = openSync(`${store}.lock`, 'a');
  lockFile(file, true);
  expect(await recorder.decide(allowed())).toBe(true);
  const began = performance.now();
  await recorder.close();
  expect(performance.now() - began).toBeLessThan(5_000);
  closeSync(file);
  const queries = openQueries(store);
  await until(() => queries.stats(recent()).requests === 1);
  expect(verifyStore(store).ok).toBe(true);
});
