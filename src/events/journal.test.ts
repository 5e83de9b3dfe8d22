import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { forgetSettled, settle } from './abandoned.ts';
import { allowed, closed, newStore } from './event.fixture.ts';
import { createJournal, fileOf } from './journal.ts';
import { packed } from './packedrow.ts';
import { openQueries } from './queries.ts';
import { openRecorder } from './recorder.ts';
import { rowOf } from './row.ts';
import { movedAside } from './store.ts';
import { verifyStore } from './verify.ts';
import { createWriter } from './writer.ts';

const ID = '0123456789ab';
const never = (error: unknown) => {
  throw error;
};
const time = Date.now();
const lineOf = (event: Parameters<typeof allowed>[0]) => JSON.stringify(packed(rowOf(allowed(event))));
const row = (connection: number) => lineOf({ connection, time });
const line = (serial: number) => `${serial} ${row(serial)}\n`;

/** A store with one row, as a gateway leaves it that ends well. */
async function newStoreWithRow(): Promise<string> {
  const store = newStore();
  const recorder = openRecorder({ store });
  recorder.note(closed({ connection: 1_000_000 }));
  await recorder.close();
  return store;
}
/** Connections in the order of their rows, without that one. */
const connections = (store: string) =>
  openQueries(store)
    .tail(0, 10_000)
    .flatMap((event) => ('connection' in event ? [event.connection] : []))
    .filter((connection) => connection !== 1_000_000);
const journalsBeside = (store: string) =>
  readdirSync(dirname(store))
    .filter((name) => name.includes('journal-'))
    .sort();

describe('a journal', () => {
  test('has every row in one of its two files until it is committed, and stays short', () => {
    const store = newStore();
    const journal = createJournal(store, never);
    const sizes: number[] = [];
    for (let n = 1; n <= 20_000; n++) {
      expect(journal.append(row(n))).toBe(n);
      if (n % 100 === 0) {
        const text = ([0, 1] as const).map((sheet) => readFileSync(fileOf(store, journal.id, sheet), 'utf8'));
        const serials = new Set(text.join('\n').match(/^\d+/gm)!.map(Number));
        for (let waiting = n - 99; waiting <= n; waiting++) expect(serials.has(waiting)).toBe(true);
        sizes.push(text.join('').length);
        journal.committed(n - 50);
      }
    }
    expect(Math.max(...sizes)).toBe(2 * 128 * 2 ** 10);
    journal.committed(20_000);
    journal.close();
    expect(journalsBeside(store)).toEqual([]);
  });

  test('takes what comes while nothing is committed, and settles it whole', async () => {
    const store = await newStoreWithRow();
    const journal = createJournal(store, never);
    for (let n = 1; n <= 3_000; n++)
      journal.append(n % 2 ? row(n) : lineOf({ connection: n, host: 'ü'.repeat(250) }));
    journal.close();
    expect(connections(store)).toEqual(Array.from({ length: 3_000 }, (_, n) => n + 1));
    expect(journalsBeside(store)).toEqual([]);
  });

  test('is for its owner alone, and is begun again where its folder was taken away', () => {
    const store = newStore();
    const journal = createJournal(store, never);
    const first = journal.id;
    expect(statSync(fileOf(store, first, 1)).mode & 0o777).toBe(0o600);
    rmSync(dirname(store), { recursive: true });
    expect(journal.works()).toBe(true);
    expect(journal.append(row(1))).toBe(1);
    expect(journal.id).not.toBe(first);
    expect(readFileSync(fileOf(store, journal.id, 0), 'utf8').replace(/\0+$/, '')).toBe(line(1));
    journal.close();
  });

  test('leaves what is not committed for whoever comes next', () => {
    const store = newStore();
    const journal = createJournal(store, never);
    for (const n of [1, 2, 3]) journal.append(row(n));
    createWriter(store).write([], null);
    settle(store);
    expect(connections(store)).toEqual([]); // its owner lives
    journal.committed(2);
    journal.close();
    expect(connections(store)).toEqual([1, 2, 3]); // the store knows of none
    expect(journalsBeside(store)).toEqual([]);
  });
});

describe('what a killed gateway left', () => {
  test.each(['who asks', 'who writes', 'who checks'])('is committed once, by %s next', async (who) => {
    const store = await newStoreWithRow();
    writeFileSync(fileOf(store, ID, 0), line(1) + line(2) + line(5));
    writeFileSync(fileOf(store, ID, 1), line(3) + line(4));
    if (who === 'who writes') await openRecorder({ store }).close();
    if (who === 'who checks') expect(verifyStore(store)).toEqual({ ok: true, rows: 6, evicted: 0 });
    expect(connections(store)).toEqual([1, 2, 3, 4, 5]);
    expect(journalsBeside(store)).toEqual([]);
    expect(verifyStore(store)).toEqual({ ok: true, rows: 6, evicted: 0 });
    const { requests } = openQueries(store).stats({ since: Date.now() - 60_000, until: Date.now() + 1_000 });
    expect(requests).toBe(5);
  });

  test('and had committed is not committed again', async () => {
    const store = await newStoreWithRow();
    const rows = [1, 2].map((connection) => rowOf(allowed({ connection })));
    createWriter(store).write(rows, { journal: ID, serial: 2 });
    writeFileSync(fileOf(store, ID, 0), line(1) + line(2) + line(3));
    expect(connections(store)).toEqual([1, 2, 3]);
    // A batch that the killed one had under way comes too late.
    createWriter(store).write([rowOf(allowed({ connection: 3 }))], { journal: ID, serial: 3 });
    expect(connections(store)).toEqual([1, 2, 3]);
    expect(verifyStore(store).ok).toBe(true);
  });

  test('was being emptied, or had grown past its memory, is read all the same', async () => {
    const store = await newStoreWithRow();
    const zeros = '\0'.repeat(100);
    writeFileSync(fileOf(store, ID, 0), `${zeros}${line(1).slice(5)}${line(2)}${zeros}${line(3)}${zeros}`);
    expect(connections(store)).toEqual([2, 3]);
    expect(journalsBeside(store)).toEqual([]);
  });

  test('in the middle of a line was never answered, and is no row', async () => {
    const store = await newStoreWithRow();
    writeFileSync(fileOf(store, ID, 0), line(1) + line(2).slice(0, -1));
    expect(connections(store)).toEqual([1]);
    expect(journalsBeside(store)).toEqual([]);
  });

  const other = packed(rowOf(allowed()));
  const but = (at: number, value: unknown) => `2 ${JSON.stringify(other.with(at, value as string))}`;
  const DAMAGED: Record<string, string> = {
    'no line of ours': 'x',
    'no JSON': '2 ["a","through"',
    'no row': '2 {}',
    'a row with a column that is none': `2 ${JSON.stringify([...other, null])}`,
    'a row without a column': `2 ${JSON.stringify(other.slice(0, -1))}`,
    'a row of no lane': but(1, 'x'),
    'a row of no agent': but(0, 1),
    'a row that is counted as nothing': but(2, 1),
    'a cell that is none': but(8, []),
    'a number in the place of a text': but(8, 1),
    'a text in the place of a number': but(3, '1'),
    'a number that is no whole one': but(9, 0.5),
    'nothing where there is always something': but(3, null),
    'no serial': `-2 ${JSON.stringify(other)}`,
  };
  test.each(Object.entries(DAMAGED))(
    'and is damaged (%s) is kept aside, and a notice says so',
    async (_, bad) => {
      const store = await newStoreWithRow();
      const text = `${line(1)}${bad}\n${line(3)}`;
      writeFileSync(fileOf(store, ID, 0), text);
      expect(connections(store)).toEqual([1, 3]);
      const aside = fileOf('egress.db', ID, 0).replace('.journal-', '.corrupt-journal-');
      expect(journalsBeside(store)).toEqual([aside]);
      expect(movedAside(store)).toEqual([aside]);
      expect(readFileSync(join(dirname(store), aside), 'utf8')).toBe(text);
      expect(openQueries(store).tail(0, 10).at(-1)).toMatchObject({
        kind: 'notice',
        topic: 'store-failed',
        text: expect.stringContaining(aside),
      });
    },
  );

  const IN_ITS_PLACE: Record<string, (file: string) => void> = {
    'a pipe': (file) => Bun.spawnSync(['mkfifo', file]),
    'a link to what never ends': (file) => symlinkSync('/dev/zero', file),
    'a folder': (file) => mkdirSync(file),
  };
  describe.each(Object.entries(IN_ITS_PLACE))('is %s', (_, put) => {
    test.each([0, 1] as const)(
      'in file %d: it is kept aside unread, and keeps nobody waiting',
      async (sheet) => {
        const store = await newStoreWithRow();
        put(fileOf(store, ID, sheet));
        if (sheet === 1) writeFileSync(fileOf(store, ID, 0), line(1));
        // In a program of its own, since what waits for a pipe cannot be stopped from within.
        const program = `(await import(${JSON.stringify(import.meta.resolve('./abandoned.ts'))})).settle(${JSON.stringify(store)})`;
        const run = spawnSync(process.execPath, ['-e', program], { timeout: 3_000 });
        expect(run.signal).toBe(null);
        const aside = fileOf('egress.db', ID, sheet).replace('.journal-', '.corrupt-journal-');
        expect(journalsBeside(store)).toEqual([aside]);
        expect(connections(store)).toEqual(sheet === 1 ? [1] : []);
        expect(openQueries(store).tail(0, 10).at(-1)).toMatchObject({ text: expect.stringContaining(aside) });
      },
    );
  });

  test('is forgotten by the store once it is no more', async () => {
    const store = await newStoreWithRow();
    const known = () => new Database(store).query('SELECT id FROM journal').values().flat();
    const live = createJournal(store, never);
    for (const journal of [ID, live.id])
      createWriter(store).write([rowOf(allowed())], { journal, serial: 1 });
    expect(known()).toContain(ID);
    forgetSettled(store, new Database(store));
    expect(known()).toEqual([live.id]);
    live.close();
  });
});

test('no child process holds a journal that its parent was killed with', async () => {
  const store = newStore();
  const program = `
    const { createJournal } = await import(${JSON.stringify(import.meta.resolve('./journal.ts'))});
    const journal = createJournal(${JSON.stringify(store)}, () => {});
    journal.append(${JSON.stringify(row(1))});
    const child = Bun.spawn(['sleep', '30'], { stdin: 'inherit', stdout: 'ignore', stderr: 'ignore' });
    console.log(child.pid);
    setInterval(() => {}, 1_000);`;
  const parent = Bun.spawn([process.execPath, '-e', program], { stdout: 'pipe' });
  const { value } = await parent.stdout.getReader().read();
  parent.kill('SIGKILL');
  await parent.exited;
  try {
    createWriter(store).write([]);
    expect(connections(store)).toEqual([1]);
  } finally {
    spawnSync('kill', [new TextDecoder().decode(value).trim()]);
  }
  expect(existsSync(store)).toBe(true);
});
