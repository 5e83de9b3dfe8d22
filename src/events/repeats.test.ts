import { expect, test } from 'bun:test';
import { copyFileSync, existsSync, statSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { settle } from './abandoned.ts';
import { allowed, closed, denied, newStore } from './event.fixture.ts';
import { createJournal, fileOf } from './journal.ts';
import { createLedger } from './ledger.ts';
import { unpacked } from './packedrow.ts';
import { openQueries } from './queries.ts';
import { createWriter } from './writer.ts';

const program = import.meta.resolve('./recorder.fixture.ts').replace('file://', '');
const recent = () => ({ since: Date.now() - 60_000, until: Date.now() + 60_000 });

/** A gateway without its threads: `kill` ends it as a signal would, at once. */
function begin() {
  const store = newStore();
  let monotonic = 0;
  const clock: Clock = { now: () => Date.now(), monotonic: () => monotonic };
  const journal = createJournal(store, (error) => {
    throw error;
  });
  const writer = createWriter(store);
  const ledger = createLedger(clock, journal);
  writer.write([]);
  return {
    ...{ store, journal, ledger },
    pass: (milliseconds: number) => {
      monotonic += milliseconds;
    },
    commit: () => {
      for (let batch = ledger.take(); batch.length > 0; batch = ledger.take()) {
        const rows = batch.map(({ text }) => unpacked(JSON.parse(text)));
        const mark = { journal: journal.id, serial: batch.at(-1)!.serial };
        expect(writer.write(rows, mark).ok).toBe(true);
        journal.committed(mark.serial);
      }
    },
    kill: () => {
      journal.close();
      writer.close();
    },
  };
}
const counted = (store: string) => openQueries(store).stats(recent()).blocked;

// Few: all is in one file. Many: both have been used again, several times.
test.each([2, 3, 200, 5_000, 20_000, 60_000])(
  'a gateway that is killed after %d refusals alike has counted each once',
  (refusals) => {
    const { store, journal, ledger, pass, commit, kill } = begin();
    for (let n = 0; n < refusals; n++) {
      ledger.decide(denied({ connection: n, host: `h${n % 7}.example` }), true);
      if (n % 100 === 50) {
        pass(3);
        ledger.release(false);
        commit();
      }
    }
    for (const sheet of [0, 1] as const)
      expect(statSync(fileOf(store, journal.id, sheet)).size).toBeLessThan(512 * 2 ** 10);
    kill();
    expect(counted(store)).toBe(refusals);
    expect(existsSync(fileOf(store, journal.id, 0))).toBe(false);
  },
);

test('what was held is counted once though its row is committed, or was found, before', () => {
  const { store, journal, ledger, commit, kill } = begin();
  for (let n = 0; n < 10; n++) ledger.decide(denied({ connection: n }), true);
  ledger.release(true);
  commit();
  for (let n = 0; n < 5; n++) ledger.decide(denied({ connection: n }), true);
  commit();
  kill();
  const copies = ([0, 1] as const).map((sheet) => [fileOf(store, journal.id, sheet), `${store}.${sheet}`]);
  for (const [from, to] of copies) copyFileSync(from!, to!);
  settle(store);
  expect(counted(store)).toBe(15);
  // As if whoever settled it had been killed before the files were taken away.
  for (const [from, to] of copies) copyFileSync(to!, from!);
  settle(store);
  expect(counted(store)).toBe(15);
});

test.each([1, 5_000])('what is held outlasts %d rows that came, and were committed, after it', (rows) => {
  const { store, ledger, commit, kill } = begin();
  for (let n = 0; n < 10; n++) ledger.decide(denied({ connection: n }), true);
  for (let n = 0; n < rows; n++) {
    expect(ledger.decide(allowed({ connection: n }), true)).toBe(true);
    if (n % 100 === 0) commit();
  }
  commit();
  kill();
  expect(counted(store)).toBe(10);
});

test('octets of what was refused are held as well', () => {
  const { store, ledger, kill } = begin();
  for (let n = 0; n < 10; n++) ledger.note(closed({ connection: n, outcome: 'refused', bytesUp: 7 }));
  kill();
  expect(openQueries(store).stats(recent()).bytesUp).toBe(70);
});

test('past the end of the queue what was held is in the sums alone', () => {
  const { store, ledger, commit, kill } = begin();
  for (let n = 0; n < 10; n++) ledger.decide(denied({ connection: n }), true);
  for (let n = 0; n < 20_010; n++) ledger.note(closed({ connection: n }));
  ledger.release(true);
  commit();
  ledger.decide(denied({ host: 'last.example' }), true);
  kill();
  expect(counted(store)).toBe(11);
});

test('killed right after, a gateway has counted every refusal', async () => {
  const store = newStore();
  const child = Bun.spawn([process.execPath, program, 'repeat', store], { stdout: 'pipe' });
  await child.stdout.getReader().read();
  child.kill('SIGKILL');
  await child.exited;
  expect(openQueries(store).blocked(recent())).toMatchObject([{ host: 'evil.example', count: 200 }]);
});
