/**
 * What is recorded is written down here before it is answered, and committed to the store soon after, with much else.
 * One line for a row, in two files beside the store that are used by turns. Their first octets are mapped into memory,
 * so that a row costs a microsecond where a commit costs a thread and a transaction; like a commit it outlives this
 * program. Repeats that are to share a row are written down one by one until it is. Whoever opens the store next commits
 * what one that was killed has left behind (see abandoned.ts).
 */
import { closeSync, fstatSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { lockFile } from '../os/lock.ts';
import { makeFolder } from './store.ts';

/** Octets of a file that are memory. When they are used the other file's turn is, once all that is in it is committed. */
const MAPPED = 128 * 2 ** 10;
/** Octets of a line, and more than any has: the texts of a row are bounded (see row.ts). */
const LONGEST = 16 * 2 ** 10;
/** Octets that must fit on the disk before a journal that could not be written counts as writable again. */
const ROOM = new Uint8Array(64 * 2 ** 10);
const EMPTY = new Uint8Array(MAPPED);

/** How far a journal's rows are committed. */
export interface Mark {
  journal: string;
  /** Of the last row that is; rows are numbered from 1. */
  serial: number;
}

export interface Journal {
  readonly id: string;
  /**
   * Writes a row down and answers its serial; 0 if it cannot be, and then nothing of it stays. `held`: it stands for all
   * that is held under that number. Never throws.
   */
  append(row: string, held?: number): number;
  /**
   * Writes down what will be in a row that is yet to come: a row, and then only what is added to it (see addedBy in
   * repeats.ts). False once it would be well to let go of what is held: it keeps a file from being used again. Never throws.
   */
  hold(held: number, text: string): boolean;
  /** What is held under that number will be in no row of its own. Never throws. */
  drop(held: number): void;
  /** All rows up to this one are committed. */
  committed(serial: number): void;
  /** Whether rows can be written down, as far as is known. After a failure it is tried. */
  works(): boolean;
  /** Takes its files away, unless there is something in them that is not committed. */
  close(): void;
}

interface Sheet {
  fd: number;
  /** Its first octets, as memory; null where the file system has no such thing. */
  map: Buffer | null;
  /** Octets that are used, zeros between what fits in the map and what came after it included. */
  size: number;
  /** The last row in it. */
  serial: number;
  /** What is in it of rows that are yet to come. */
  held: Set<number>;
}

/** The path of one of a journal's two files. Its owner holds a lock on the first for as long as it lives. */
export function fileOf(store: string, id: string, sheet: 0 | 1): string {
  return `${store}.journal-${id}.${sheet}`;
}

/** `onFailure` is told each time it becomes unwritable. Throws what the system throws. */
export function createJournal(store: string, onFailure: (error: unknown) => void): Journal {
  let { id, sheets } = begin(store);
  let [active, other] = sheets;
  /** Of lines, whatever they hold. */
  let serial = 0;
  /** The last row, and the last that is committed. */
  let last = 0;
  let done = 0;
  let failed = false;

  const turn = () => {
    [active, other] = [other, active];
    // From its beginning: what is held goes before the row that stands for it.
    active.map?.fill(0, 0, Math.min(active.size, MAPPED));
    ftruncateSync(active.fd, active.map === null ? 0 : MAPPED);
    active.size = 0;
  };
  const buffer = Buffer.allocUnsafe(LONGEST);
  const put = (line: string) => {
    const { map, size } = active;
    if (map !== null && size + LONGEST <= MAPPED) {
      active.size = size + map.write(line, size);
      return;
    }
    const at = afterMap();
    write(buffer, buffer.write(line), at);
  };
  const afterMap = () => (active.map === null ? active.size : Math.max(active.size, MAPPED));
  const write = (octets: Uint8Array, length: number, at: number) => {
    writeWhole(active.fd, octets, length, at);
    active.size = at + length;
  };
  const isUsedUp = () => active.size + LONGEST > MAPPED;
  /** Whether the line is written down; its number is the last serial then. */
  const add = (text: string): boolean => {
    if (failed) return false;
    try {
      if (isUsedUp() && other.serial <= done && other.held.size === 0) turn();
      put(`${serial + 1} ${text}\n`);
      serial++;
      return true;
    } catch (error) {
      failed = true;
      onFailure(error);
      return false;
    }
  };
  const letGo = (held: number) => {
    active.held.delete(held);
    other.held.delete(held);
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
    append(row, held = 0) {
      const isWritten = add(held === 0 ? row : `-${held} ${row}`);
      if (held > 0) letGo(held);
      if (!isWritten) return 0;
      active.serial = last = serial;
      return serial;
    },
    hold(held, text) {
      if (add(`+${held} ${text}`)) active.held.add(held);
      return !isUsedUp() || other.held.size === 0;
    },
    drop(held) {
      add(`-${held} []`);
      letGo(held);
    },
    committed(upTo) {
      done = Math.max(done, upTo);
    },
    works() {
      try {
        if (isGone()) renew();
        if (!failed) return true;
        const at = afterMap();
        writeWhole(active.fd, ROOM, ROOM.length, at);
        ftruncateSync(active.fd, at);
        failed = false;
        return true;
      } catch {
        return false;
      }
    },
    close() {
      failed = true;
      if (done === last && active.held.size + other.held.size === 0)
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
    const make = (sheet: 0 | 1) => openSync(fileOf(store, id, sheet), 'wx', 0o600);
    const first = make(0);
    if (lockFile(first, false) && fstatSync(first).nlink > 0) {
      const sheets = [first, make(1)].map((fd, sheet) => sheetOf(fd, fileOf(store, id, sheet as 0 | 1)));
      return { id, sheets: sheets as [Sheet, Sheet] };
    }
    closeSync(first);
  }
}

function sheetOf(fd: number, path: string): Sheet {
  // What is memory must have its place on the disk: a full one would end the program, not the writing.
  writeWhole(fd, EMPTY, MAPPED, 0);
  let map: Buffer | null = null;
  try {
    const { buffer, byteOffset, byteLength } = Bun.mmap(path, { shared: true });
    if (byteLength === MAPPED) map = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
  } catch {
    // Written by system calls, then.
  }
  return { fd, map, size: 0, serial: 0, held: new Set() };
}

/** All of it or nothing. */
function writeWhole(fd: number, octets: Uint8Array, length: number, at: number): void {
  const written = writeSync(fd, octets, 0, length, at);
  if (written === length) return;
  ftruncateSync(fd, at);
  throw Object.assign(new Error('only a part could be written'), { code: 'ENOSPC' });
}
