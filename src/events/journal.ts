/**
 * What is recorded is written down here before it is answered, and committed to the store soon after, with much else.
 * One line for a row, in two files beside the store that are used by turns: a copy into the kernel's memory, which
 * outlives this program like a commit does, takes a microsecond where a commit takes a thread and a transaction.
 * Whoever opens the store next commits what a program has left behind that was killed (see abandoned.ts).
 */
import { closeSync, fstatSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { lockFile } from '../os/lock.ts';
import { makeFolder } from './store.ts';

/** Octets after which the other file is used, once all that is in it is committed. */
const TURN = 256 * 2 ** 10;
/** Octets of a line, and more than any has: the texts of a row are bounded (see row.ts). */
const LONGEST = 16 * 2 ** 10;
/** Octets that must fit on the disk before a journal that could not be written counts as writable again. */
const ROOM = new Uint8Array(64 * 2 ** 10);

/** How far a journal's rows are committed. */
export interface Mark {
  journal: string;
  /** Of the last row that is; rows are numbered from 1. */
  serial: number;
}

export interface Journal {
  readonly id: string;
  /** Writes a row down and answers its serial; 0 if it cannot be, and then nothing of it stays. Never throws. */
  append(row: string): number;
  /** All rows up to this one are committed. */
  committed(serial: number): void;
  /** Whether rows can be written down, as far as is known. After a failure it is tried. */
  works(): boolean;
  /** Takes its files away, unless there is something in them that is not committed. */
  close(): void;
}

interface Sheet {
  fd: number;
  size: number;
  /** The last row in it. */
  serial: number;
}

/** The path of one of a journal's two files. Its owner holds a lock on the first for as long as it lives. */
export function fileOf(store: string, id: string, sheet: 0 | 1): string {
  return `${store}.journal-${id}.${sheet}`;
}

/** `onFailure` is told each time it becomes unwritable. Throws what the system throws. */
export function createJournal(store: string, onFailure: (error: unknown) => void): Journal {
  let { id, sheets } = begin(store);
  let [active, other] = sheets;
  let serial = 0;
  let done = 0;
  let failed = false;

  const turn = () => {
    [active, other] = [other, active];
    ftruncateSync(active.fd, 0);
    active.size = 0;
  };
  const line = Buffer.allocUnsafe(LONGEST);
  const write = (octets: Uint8Array, length: number) => {
    const written = writeSync(active.fd, octets, 0, length, active.size);
    if (written === length) return;
    ftruncateSync(active.fd, active.size);
    throw Object.assign(new Error('only a part could be written'), { code: 'ENOSPC' });
  };
  /** Somebody has taken the folder away; the store is begun anew there, too. */
  const isGone = () => fstatSync(sheets[0].fd).nlink === 0;
  const renew = () => {
    const gone = sheets;
    ({ id, sheets } = begin(store));
    [active, other] = sheets;
    for (const { fd } of gone) closeSync(fd);
  };

  return {
    get id() {
      return id;
    },
    append(row) {
      if (failed) return 0;
      try {
        if (active.size >= TURN && other.serial <= done) turn();
        const length = line.write(`${serial + 1} ${row}\n`);
        write(line, length);
        active.size += length;
        active.serial = ++serial;
        return serial;
      } catch (error) {
        failed = true;
        onFailure(error);
        return 0;
      }
    },
    committed(last) {
      done = Math.max(done, last);
    },
    works() {
      try {
        if (isGone()) renew();
        if (!failed) return true;
        write(ROOM, ROOM.length);
        ftruncateSync(active.fd, active.size);
        failed = false;
        return true;
      } catch {
        return false;
      }
    },
    close() {
      failed = true;
      if (done === serial)
        for (const sheet of [1, 0] as const) rmSync(fileOf(store, id, sheet), { force: true });
      for (const { fd } of sheets) closeSync(fd);
    },
  };
}

/** Two empty files under a name nobody has. Between making and locking them somebody may take them for abandoned. */
function begin(store: string): { id: string; sheets: [Sheet, Sheet] } {
  makeFolder(store);
  for (;;) {
    const id = crypto.getRandomValues(new Uint8Array(6)).toHex();
    const sheetOf = (sheet: 0 | 1): Sheet => {
      const fd = openSync(fileOf(store, id, sheet), 'wx', 0o600);
      return { fd, size: 0, serial: 0 };
    };
    const first = sheetOf(0);
    if (lockFile(first.fd, false) && fstatSync(first.fd).nlink > 0)
      return { id, sheets: [first, sheetOf(1)] };
    closeSync(first.fd);
  }
}
