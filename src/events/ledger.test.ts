import { expect, test } from 'bun:test';
import { systemClock } from '../base/clock.ts';
import { allowed, closed, denied, passing } from './event.fixture.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { unpacked } from './packedrow.ts';
import type { Row } from './row.ts';

function drain(ledger: Ledger): Row[] {
  ledger.release(true);
  const rows: Row[] = [];
  for (let batch = ledger.take(); batch.length > 0; batch = ledger.take())
    rows.push(...batch.map(({ text }) => unpacked(JSON.parse(text))));
  return rows;
}

/** Writes everything down, and keeps nothing. */
function countUp() {
  let serial = 0;
  return () => ++serial;
}
const newLedger = (append: () => number = countUp()) =>
  createLedger(systemClock, { append, hold: () => true, drop: () => {} });

const sum = (rows: readonly Row[], column: 'count' | 'bytes_up') =>
  rows.reduce((total, { cells }) => total + Number(cells[column] ?? 0), 0);

test('a long outage under a flood grows neither queue nor memory, and loses no count and no byte', () => {
  const ledger = newLedger();
  for (let n = 0; n < 100_000; n++) {
    expect(ledger.decide(allowed({ connection: n, host: `h${n}.example` }), false)).toBe(false);
    ledger.note(closed({ connection: n, bytesUp: 5 }));
  }
  const rows = drain(ledger);
  expect(rows.length).toBeLessThan(25_000);
  const decisions = rows.filter(({ cells }) => cells.kind === 'decision');
  const closes = rows.filter(({ cells }) => cells.kind === 'close');
  expect([sum(decisions, 'count'), sum(closes, 'count'), sum(closes, 'bytes_up')]).toEqual([
    100_000, 100_000, 500_000,
  ]);
  expect(new Set(decisions.map(({ cells }) => `${cells.outcome} ${cells.reason}`))).toEqual(
    new Set(['deny audit-unavailable']),
  );
});

test('past the end of the queue an allow is answered no, also while the store can be written', () => {
  const ledger = newLedger();
  const answers = Array.from({ length: 20_010 }, (_, n) => ledger.decide(allowed({ connection: n }), true));
  expect(answers).toEqual([...Array(20_000).fill(true), ...Array(10).fill(false)]);
});

test('past the end of the queue what goes on is left to its close: nothing of it is counted twice', () => {
  const ledger = newLedger();
  for (let n = 0; n < 20_010; n++) ledger.note(passing({ connection: n, bytesUp: 5 }));
  const rows = drain(ledger);
  expect(rows).toHaveLength(20_000);
  expect(rows.every(({ cells }) => cells.count === 1 && cells.bytes_up === 5)).toBe(true);
});

test('rows that could not be committed are taken again, in their order', () => {
  const ledger = newLedger();
  ledger.decide(allowed({ connection: 1 }), true);
  ledger.decide(denied({ connection: 2 }), true);
  const batch = ledger.take();
  ledger.note(closed({ connection: 3 }));
  ledger.giveBack(batch);
  const rows = drain(ledger).map(({ cells }) => [cells.kind, cells.connection, cells.outcome]);
  expect(rows).toEqual([
    ['decision', 1, 'allow'],
    ['decision', 2, 'deny'],
    ['close', 3, 'done'],
  ]);
});

test('a decision that cannot be written down is a refusal; all else is kept in memory', () => {
  const ledger = newLedger(() => 0);
  expect(ledger.decide(allowed({ connection: 1 }), true)).toBe(false);
  ledger.decide(denied({ connection: 2 }), true);
  ledger.note(closed({ connection: 3 }));
  const rows = drain(ledger).map(({ cells }) => [cells.kind, cells.connection, cells.reason]);
  expect(rows).toEqual([
    ['decision', 1, 'audit-unavailable'],
    ['decision', 2, 'no-rule'],
    ['close', 3, null],
  ]);
});

test('a flood of refused hosts does not blur what was let through', () => {
  const ledger = newLedger();
  for (let n = 0; n < 3_000; n++) ledger.decide(denied({ host: `h${n}.evil.example` }), true);
  ledger.decide(allowed(), true);
  const last = drain(ledger).find(({ lane }) => lane === 'through')!;
  expect([last.cells.host, last.countedAs]).toEqual(['api.example.com', null]);
});

test('a flood of hosts that a wildcard lets through keeps its rows and bounds its totals', () => {
  const ledger = newLedger();
  const time = Date.now();
  for (let n = 0; n < 3_000; n++) ledger.decide(allowed({ time, host: `h${n}.example.com` }), true);
  const rows = drain(ledger);
  expect(new Set(rows.map(({ cells }) => cells.host)).size).toBe(3_000);
  expect(new Set(rows.map(({ cells, countedAs }) => countedAs ?? cells.host)).size).toBeLessThanOrEqual(
    1_002,
  );
});
