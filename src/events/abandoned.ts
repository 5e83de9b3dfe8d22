/**
 * Journals whose owners were killed. What they wrote down and did not live to commit is committed by whoever opens the
 * store next, to write or to read; only rows after those that the store says are in it.
 */
import type { Database } from 'bun:sqlite';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { lockFile } from '../os/lock.ts';
import type { Commit } from './commit.ts';
import { fileOf } from './journal.ts';
import { isPackedRow, unpacked } from './packedrow.ts';
import { addAll } from './repeats.ts';
import { type Row, rowOf } from './row.ts';
import { openSealed } from './sealed.ts';
import { inTurn } from './turn.ts';

/** For whoever is about to ask the store. Never throws: what cannot be committed now is by the next gateway. */
export function settle(store: string): void {
  attempt(() => {
    const isAbandoned = (journal: string) => {
      if (isForeign(fileOf(store, journal, 0))) return true;
      const fd = adopt(store, journal);
      if (fd !== null) closeSync(fd);
      return fd !== null;
    };
    if (!journalsOf(store).some(isAbandoned)) return;
    inTurn(store, () => {
      const { db, commit } = openSealed(store, false);
      try {
        settleAbandoned(store, db, commit);
      } finally {
        db.close();
      }
    });
  });
}

/** Commits what they hold and takes them away. Throws what SQLite or the system throws. */
export function settleAbandoned(store: string, db: Database, commit: Commit): void {
  for (const journal of journalsOf(store)) {
    const first = fileOf(store, journal, 0);
    if (isForeign(first) && moved(first)) commit([noticeOf(store, journal, [0])]);
    const fd = adopt(store, journal);
    if (fd === null) continue;
    try {
      const found = db.query('SELECT serial FROM journal WHERE id = ?').get(journal);
      const { rows, end, unreadable } = read(
        store,
        journal,
        (found as { serial: number } | null)?.serial ?? 0,
      );
      // Past its last line: a store that knows of that has all of it, also what was held.
      const mark = rows.length > 0 ? { journal, serial: end + 1 } : null;
      if (unreadable.length > 0) rows.push(noticeOf(store, journal, unreadable));
      if (rows.length > 0) commit(rows, mark);
      for (const sheet of [1, 0] as const) {
        const file = fileOf(store, journal, sheet);
        // The second may never have been made.
        if (unreadable.includes(sheet)) renameSync(file, asideOf(file));
        else attempt(() => unlinkSync(file));
      }
    } finally {
      closeSync(fd);
    }
  }
}

/** Forgets how far journals were committed that are no more. */
export function forgetSettled(store: string, db: Database): void {
  // First what the store knows, then what is there: a journal is there before the store knows of it.
  const known = (db.query('SELECT id FROM journal').values() as [string][]).flat();
  const there = new Set(journalsOf(store));
  const gone = known.filter((id) => !there.has(id));
  if (gone.length > 0)
    db.run('DELETE FROM journal WHERE id IN (SELECT value FROM json_each(?))', [JSON.stringify(gone)]);
}

function journalsOf(store: string): string[] {
  const [before, after] = fileOf(basename(store), '|', 0).split('|') as [string, string];
  return readdirSync(dirname(store))
    .filter((name) => name.startsWith(before) && name.endsWith(after))
    .map((name) => name.slice(before.length, -after.length));
}

/** Whether something stands in the place of a journal's file that is none: a pipe, a link, a folder. */
function isForeign(file: string): boolean {
  return attempt(() => !lstatSync(file).isFile()) ?? false;
}

/** Opens a journal's file, without waiting for whatever may stand in its place. Throws where it is no file. */
function openSheet(file: string): number {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new Error('not a file');
}

/** The lock of a journal that nobody has, until it is closed; null where somebody lives who has it, or it is none. */
function adopt(store: string, journal: string): number | null {
  const fd = attempt(() => openSheet(fileOf(store, journal, 0)));
  if (fd === null) return null;
  if (lockFile(fd, false) && fstatSync(fd).nlink > 0) return fd;
  closeSync(fd);
  return null;
}

interface Line {
  serial: number;
  /** The number of what is held (1), or of what was and is in this row (-1) or in none; 0 for neither (see journal.ts). */
  sign: 1 | 0 | -1;
  held: number;
  row: Row | null;
  added: (number | null)[];
}

interface Found {
  /** Those after that serial in order, and sums of what was still held. */
  rows: Row[];
  /** The serial of the last line. */
  end: number;
  /** Files with lines that are none. */
  unreadable: (0 | 1)[];
}

function read(store: string, journal: string, after: number): Found {
  const lines: Line[] = [];
  const unreadable: (0 | 1)[] = [];
  for (const sheet of [0, 1] as const) {
    const text = textOf(fileOf(store, journal, sheet));
    if (text === null) {
      unreadable.push(sheet);
      continue;
    }
    // What follows the last line's end was being written when the program was killed: it was never answered. Zeros are
    // what is not used yet, and what comes after some was being emptied, or written where there was no room before.
    const found = text.split('\n').slice(0, -1).map(lineOf);
    const good = found.filter((line) => line !== null && line !== 'emptied');
    if (found.includes(null)) unreadable.push(sheet);
    lines.push(...good);
  }
  lines.sort((a, b) => a.serial - b.serial);
  const end = lines.at(-1)?.serial ?? 0;
  if (end < after) return { rows: [], end, unreadable };
  const rows = lines.flatMap(({ serial, sign, row }) =>
    serial > after && sign !== 1 && row !== null ? [row] : [],
  );
  return { rows: [...rows, ...sumsOf(lines)], end, unreadable };
}

/** What was held to the end. Rows that came of the rest have been found, or committed. */
function sumsOf(lines: readonly Line[]): Row[] {
  const released = new Set(lines.flatMap(({ sign, held }) => (sign === -1 ? [held] : [])));
  const sums = new Map<number, Row>();
  for (const { sign, held, row, added } of lines) {
    if (sign !== 1 || released.has(held)) continue;
    const sum = sums.get(held);
    if (sum !== undefined) addAll(sum, added);
    else if (row !== null) sums.set(held, row);
  }
  return [...sums.values()];
}

/** Empty where there is no such file, null where it cannot be read. */
function textOf(file: string): string | null {
  try {
    const fd = openSheet(file);
    try {
      return readFileSync(fd, 'utf8');
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? '' : null;
  }
}

const LINE = /^(\d{1,15}) (?:([+-])(\d{1,15}) )?(\[.*\])$/;

function lineOf(text: string): Line | 'emptied' | null {
  const used = text.replace(/^\0+/, '');
  const [, serial, mark, held = '0', json] = LINE.exec(used) ?? [];
  const cells: unknown = json === undefined ? null : attempt(() => JSON.parse(json));
  const sign = mark === '+' ? 1 : mark === '-' ? -1 : 0;
  const line = { serial: Number(serial), sign, held: Number(held), row: null, added: [] } as const;
  if (isPackedRow(cells)) return { ...line, row: unpacked(cells), added: [] };
  if (sign === 1 && isAdded(cells)) return { ...line, added: cells };
  if (sign === -1 && json === '[]') return { ...line, added: [] };
  return used === text ? null : 'emptied';
}

function isAdded(value: unknown): value is (number | null)[] {
  return (
    Array.isArray(value) &&
    value.length === 4 &&
    value.every((cell) => cell === null || Number.isSafeInteger(cell))
  );
}

function asideOf(file: string): string {
  return file.replace('.journal-', '.corrupt-journal-');
}

/** Whether it could be moved aside. */
function moved(file: string): boolean {
  attempt(() => renameSync(file, asideOf(file)));
  return lstatSync(file, { throwIfNoEntry: false }) === undefined;
}

function noticeOf(store: string, journal: string, unreadable: readonly (0 | 1)[]): Row {
  const files = unreadable.map((sheet) => asideOf(basename(fileOf(store, journal, sheet)))).join(' and ');
  return rowOf({
    kind: 'notice',
    time: Date.now(),
    agent: 'clawctl',
    session: '',
    topic: 'store-failed',
    text: `What a gateway that was killed had written down is damaged in part: ${files}.`,
  });
}

function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}
