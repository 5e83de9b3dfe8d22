import { expect, test } from 'bun:test';
import { systemClock } from '../base/clock.ts';
import { allowed, closed, denied, passing } from './event.fixture.ts';
import { createLedger, type Ledger } from './ledger.ts';
import type { Row } from './row.ts';

function drain(ledger: Ledger): Row[] {
  ledger.release(true);
  const rows: Row[] = [];
  for (let batch = ledger.take(); batch.length > 0; batch = ledger.take())
    rows.push(...batch.map(({ row }) => row));
  return rows;
}

const sum = (rows: readonly Row[], column: 'count' | 'bytes_up') =>
  rows.reduce((total, { cells }) => total + Number(cells[column] ?? 0), 0);

test('a long outage under a flood grows neither queue nor memory, and loses no count and no byte', () => {
  const ledger = createLedger(systemClock);
  for (let n = 0; n < 100_000; n++) {
    ledger.decide(allowed({ connection: n, host: `h${n}.example` }), false, (recorded) =>
      expect(recorded).toBe(false),
    );
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
  const ledger = createLedger(systemClock);
  const answers: boolean[] = [];
  for (let n = 0; n < 20_010; n++)
    ledger.decide(allowed({ connection: n }), true, (yes) => answers.push(yes));
  expect(answers).toEqual(Array(10).fill(false));
});

test('past the end of the queue what goes on is left to its close: nothing of it is counted twice', () => {
  const ledger = createLedger(systemClock);
  for (let n = 0; n < 20_010; n++) ledger.note(passing({ connection: n, bytesUp: 5 }));
  const rows = drain(ledger);
  expect(rows).toHaveLength(20_000);
  expect(rows.every(({ cells }) => cells.count === 1 && cells.bytes_up === 5)).toBe(true);
});

test('rows that could not be written are taken again, and their decisions become refusals', () => {
  const ledger = createLedger(systemClock);
  const answers: boolean[] = [];
  ledger.decide(allowed({ connection: 1 }), true, (yes) => answers.push(yes));
  ledger.decide(denied({ connection: 2 }), true, (yes) => answers.push(yes));
  ledger.note(closed({ connection: 3 }));
  ledger.giveBack(ledger.take());
  expect(answers).toEqual([false, false]);
  const rows = drain(ledger).map(({ cells }) => [cells.kind, cells.connection, cells.reason]);
  expect(rows).toEqual([
    ['decision', 2, 'no-rule'],
    ['close', 3, null],
    ['decision', 1, 'audit-unavailable'],
  ]);
});

test('a flood of refused hosts does not blur what was let through', () => {
  const ledger = createLedger(systemClock);
  for (let n = 0; n < 3_000; n++) ledger.decide(denied({ host: `h${n}.evil.example` }), true, () => {});
  ledger.decide(allowed(), true, () => {});
  const last = drain(ledger).find(({ lane }) => lane === 'through')!;
  expect([last.cells.host, last.countedAs]).toEqual(['api.example.com', null]);
});

test('a flood of hosts that a wildcard lets through keeps its rows and bounds its totals', () => {
  const ledger = createLedger(systemClock);
  const time = Date.now();
  for (let n = 0; n < 3_000; n++) ledger.decide(allowed({ time, host: `h${n}.example.com` }), true, () => {});
  const rows = drain(ledger);
  expect(new Set(rows.map(({ cells }) => cells.host)).size).toBe(3_000);
  expect(new Set(rows.map(({ cells, countedAs }) => countedAs ?? cells.host)).size).toBeLessThanOrEqual(
    1_002,
  );
});
