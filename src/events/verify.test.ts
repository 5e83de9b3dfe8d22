import { Database } from 'bun:sqlite';
import { beforeAll, describe, expect, test } from 'bun:test';
import { copyFileSync, rmSync } from 'node:fs';
import { signingKey } from './checkpoint.ts';
import { createCommit } from './commit.ts';
import { allowed, closed, denied, newStore, passing, refusal } from './event.fixture.ts';
import { createHeads } from './heads.ts';
import { openQueries } from './queries.ts';
import { rowOf } from './row.ts';
import { makeFolder, openStore } from './store.ts';
import { verifyStore } from './verify.ts';
import { createWriter } from './writer.ts';

/** Ten batches of an allowed (even numbers) and a refused row (odd ones), in one closed file. */
function write(store: string): void {
  makeFolder(store);
  const db = openStore(store);
  const commit = createCommit(db, signingKey(store));
  for (let n = 0; n < 10; n++) commit([rowOf(denied({ connection: n })), rowOf(allowed({ connection: n }))]);
  db.close();
}

let original = '';
beforeAll(() => {
  original = newStore();
  write(original);
});

function tampered(...statements: string[]): ReturnType<typeof verifyStore> {
  const store = newStore();
  makeFolder(store);
  copyFileSync(original, store);
  copyFileSync(original.replace(/[^/]+$/, 'egress.key'), store.replace(/[^/]+$/, 'egress.key'));
  const db = new Database(store);
  for (const statement of statements) db.run(statement);
  db.close();
  return verifyStore(store);
}

test('an untouched store is good', () => {
  expect(tampered()).toEqual({ ok: true, rows: 20, evicted: 0 });
  expect(verifyStore(newStore())).toEqual({ ok: true, rows: 0, evicted: 0 });
});

test('a store that was never finished is empty, and an emptied one is not', () => {
  const store = newStore();
  makeFolder(store);
  new Database(store).close();
  expect(verifyStore(store)).toEqual({ ok: true, rows: 0, evicted: 0 });
  signingKey(store);
  expect(verifyStore(store).ok).toBe(false);
});

test('a store is sealed before anything is in it, and one that cannot be leaves no key', () => {
  const store = newStore();
  createWriter(store).write([]);
  expect(verifyStore(store)).toEqual({ ok: true, rows: 0, evicted: 0 });
  const full = newStore();
  makeFolder(full);
  const db = openStore(full);
  db.run("CREATE TRIGGER t BEFORE INSERT ON seal BEGIN SELECT RAISE(ABORT, 'no room'); END");
  expect(createWriter(full).write([])).toMatchObject({ ok: false });
  db.run('DROP TRIGGER t');
  expect(verifyStore(full)).toEqual({ ok: true, rows: 0, evicted: 0 });
});

const EMPTIED = ['event', 'chain', 'seal', 'total', 'host'].map((table) => `DELETE FROM ${table}`);
test('a store that was emptied, or taken away, is told by its key; begun again, it says so itself', () => {
  expect(tampered(...EMPTIED)).toMatchObject({ ok: false, problem: expect.stringContaining('emptied') });
  const store = newStore();
  write(store);
  for (const part of ['', '-wal', '-shm']) rmSync(store + part, { force: true });
  expect(verifyStore(store)).toMatchObject({ ok: false, problem: expect.stringContaining('removed') });
  createWriter(store).write([]);
  expect(verifyStore(store)).toEqual({ ok: true, rows: 1, evicted: 0 });
  const db = openStore(store);
  for (const statement of EMPTIED) db.run(statement);
  createWriter(store).write([rowOf(allowed())]);
  expect(openQueries(store).tail(0, 10)).toMatchObject([{ topic: 'store-replaced' }, { kind: 'decision' }]);
});

const column = (name: string) => `UPDATE event SET ${name} = 1 + coalesce(${name}, 0) WHERE sequence = 7`;
describe.each(['time', 'connection', 'port', 'count', 'would_deny', 'bytes_up', 'duration'])('%s', (name) => {
  test('cannot be changed unseen, and the row is named', () => {
    expect(tampered(column(name))).toMatchObject({ ok: false, row: 7 });
  });
});

test.each(['host', 'outcome', 'reason', 'rule', 'session', 'detail', 'kind', 'protocol'])(
  'the text in %s cannot be changed unseen, and the row is named',
  (name) => {
    expect(tampered(`UPDATE event SET ${name} = 'x' WHERE sequence = 8`)).toMatchObject({
      ok: false,
      row: 8,
    });
  },
);

/** Makes the chains agree with the rows that are left, as somebody without the key would. */
const HEADS = `UPDATE chain SET length = 9,
    head = (SELECT hash FROM event WHERE chain = chain.id ORDER BY sequence DESC LIMIT 1);
  UPDATE seal SET sequence = 18`;
const BASE =
  'UPDATE chain SET base = 1, base_hash = (SELECT hash FROM event WHERE sequence = 1) WHERE id = 1';

test.each([
  ['a row taken out', 'DELETE FROM event WHERE sequence = 9', 11],
  ['the first row taken out', 'DELETE FROM event WHERE sequence = 1', 3],
  ['rows that changed places', 'UPDATE event SET sequence = 99 WHERE sequence = 4', 6],
  ['a row moved to another agent', `UPDATE chain SET agent = 'x' WHERE id = 1`, 1],
  ['a cut tail', 'DELETE FROM event WHERE sequence > 16', 15],
  ['everything taken out', 'DELETE FROM event', null],
  ['a chain taken out', 'DELETE FROM event WHERE chain = 2; DELETE FROM chain WHERE id = 2', null],
  ['a tail cut with its count', 'DELETE FROM event WHERE sequence > 18; UPDATE chain SET length = 9', 17],
  ['the seal taken out', 'DELETE FROM seal', null],
  ['the seal changed', 'UPDATE seal SET sequence = 18', null],
  ['a beginning passed off as evicted', `${BASE}; DELETE FROM event WHERE sequence = 1`, null],
  ['a tail cut with all that is not signed', `DELETE FROM event WHERE sequence > 18; ${HEADS}`, null],
])('%s is seen', (_, statements, row) => {
  expect(tampered(...statements.split(/;\s+/))).toMatchObject({ ok: false, row });
});

test('a store sealed with another key is not good, and a missing key is told', () => {
  const store = newStore();
  write(store);
  const key = store.replace(/[^/]+$/, 'egress.key');
  rmSync(key);
  expect(verifyStore(store)).toMatchObject({ ok: false, problem: expect.stringContaining('key file') });
  signingKey(store);
  expect(verifyStore(store)).toMatchObject({
    ok: false,
    problem: expect.stringContaining('not sealed with the key'),
  });
});

const COUNTED = [
  'DELETE FROM total',
  'UPDATE total SET blocked = 0, requests = 0',
  'UPDATE total SET blocked = 0 WHERE span = 1000',
  'UPDATE total SET allowed = 9 WHERE span = 60000',
  'DELETE FROM total WHERE span = 21600000',
  `INSERT INTO total SELECT span, start, host, 9, reason, 1, 0, 1, 0, 0, 0, 0, first, last FROM total WHERE span = 3600000`,
  'UPDATE host SET first_blocked = NULL',
  'UPDATE host SET first_blocked = 1 WHERE first_blocked IS NOT NULL',
  `UPDATE host SET name = 'other.example' WHERE name = 'evil.example'`,
  'DELETE FROM host',
];
test.each(COUNTED)('what was counted cannot be changed unseen: %s', (statement) => {
  expect(tampered(statement)).toMatchObject({
    ok: false,
    problem: expect.stringContaining('does not agree with the rows'),
  });
});

test('counts agree with rows however they came, for as long as all rows are there', () => {
  const store = newStore();
  makeFolder(store);
  const db = openStore(store);
  const commit = createCommit(db, signingKey(store));
  const now = Date.now();
  for (const age of [0, 1_000, 90_000, 3_500_000, 3_700_000, 86_300_000, 90_000_000, 2_700_000_000])
    for (const agent of ['a', 'b c']) {
      const fields = { agent, time: now - age };
      const rows = [allowed(fields), denied(fields), refusal(fields), closed(fields), passing(fields)];
      commit([...rows.map(rowOf), { ...rowOf(allowed(fields)), countedAs: '(example.com)' }]);
    }
  expect(verifyStore(store).ok).toBe(true);
  // Rows that are gone leave their totals, and nothing can be said of them; of others it can.
  const [first] = db.query('SELECT hash FROM event WHERE sequence = 1').values()[0] as [Uint8Array];
  db.run('DELETE FROM event WHERE sequence = 1');
  const heads = createHeads(db, signingKey(store));
  heads.refresh();
  heads.save([Object.assign(heads.all()[0]!, { base: 1, baseHash: first })]);
  db.run(`DELETE FROM total WHERE host IN (SELECT id FROM host WHERE agent = 'a')`);
  expect(verifyStore(store).ok).toBe(true);
  db.run('DELETE FROM total');
  expect(verifyStore(store)).toMatchObject({ ok: false, problem: expect.stringContaining('"b c"') });
});
