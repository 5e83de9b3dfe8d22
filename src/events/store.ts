/**
 * The store's file: one SQLite database in WAL mode that any number of gateways on this machine share.
 * It is created for its owner alone, and a damaged one is moved aside whole, never deleted.
 */
import { constants, type Database } from 'bun:sqlite';
import { chmodSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Failure } from '../base/failure.ts';
import { shareRange } from '../os/lock.ts';
import { type Layout, openDatabase } from './database.ts';

const VERSION = 1;
/** Octets that the log's file keeps when it starts again. */
const LONGEST_LOG = 16 * 2 ** 20;

const SCHEMA = `
  CREATE TABLE chain (
    id INTEGER PRIMARY KEY, agent TEXT NOT NULL, lane TEXT NOT NULL,
    base INTEGER NOT NULL, base_hash BLOB NOT NULL, length INTEGER NOT NULL, head BLOB NOT NULL,
    UNIQUE (agent, lane)
  ) STRICT;
  CREATE TABLE seal (
    id INTEGER PRIMARY KEY CHECK (id = 1), sequence INTEGER NOT NULL, signature BLOB NOT NULL
  ) STRICT;
  CREATE TABLE event (
    sequence INTEGER PRIMARY KEY, chain INTEGER NOT NULL,
    time INTEGER NOT NULL, kind TEXT NOT NULL, session TEXT NOT NULL, connection INTEGER, protocol TEXT,
    host TEXT, port INTEGER, outcome TEXT, reason TEXT, rule TEXT, would_deny INTEGER, detail TEXT,
    count INTEGER NOT NULL, bytes_up INTEGER, bytes_down INTEGER, duration INTEGER, hash BLOB NOT NULL
  ) STRICT;
  CREATE INDEX event_chain ON event (chain);
  CREATE TABLE host (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, agent TEXT NOT NULL,
    first_blocked INTEGER, last_blocked INTEGER, last_allowed INTEGER, last_seen INTEGER NOT NULL,
    UNIQUE (name, agent)
  ) STRICT;
  CREATE INDEX host_first_blocked ON host (first_blocked) WHERE first_blocked IS NOT NULL;
  CREATE TABLE total (
    span INTEGER NOT NULL, start INTEGER NOT NULL, host INTEGER NOT NULL, port INTEGER NOT NULL,
    reason TEXT NOT NULL,
    requests INTEGER NOT NULL, allowed INTEGER NOT NULL, blocked INTEGER NOT NULL, failed INTEGER NOT NULL,
    questions INTEGER NOT NULL, bytes_up INTEGER NOT NULL, bytes_down INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (span, start, host, port, reason)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${VERSION};
`;

/** Makes the folder that holds the store, its lock and its key, for its owner alone. */
export function makeFolder(path: string): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if ((statSync(folder).mode & 0o077) !== 0) chmodSync(folder, 0o700);
}

/** Came later, and is of no matter to older versions. */
const ADDED = `
  CREATE TABLE IF NOT EXISTS journal (id TEXT PRIMARY KEY, serial INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS clock (
    id INTEGER PRIMARY KEY CHECK (id = 1), believed INTEGER, doubted INTEGER
  ) STRICT;
`;

const LAYOUT: Layout = { name: 'The store', version: VERSION, schema: SCHEMA, added: ADDED };
/** Milliseconds to wait for others while the tables are made. */
const PATIENCE = 300;

/** Opens the store for writing, creating file and tables as needed. Throws what SQLite or the system throws. */
export function openStore(path: string): Database {
  const db = openDatabase(path, LAYOUT, PATIENCE, (db) => {
    db.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1);
    // A checkpoint waits for the disk, so the keeper does it, not whoever commits.
    db.run('PRAGMA wal_autocheckpoint = 0');
    db.run(`PRAGMA journal_size_limit = ${LONGEST_LOG}`);
  });
  db.run('PRAGMA busy_timeout = 0');
  return db;
}

/** The octets that every connection to a SQLite database shares while it is open (SHARED_FIRST and SHARED_SIZE in its os.h). */
const SHARED = { first: 0x4000_0002, size: 510 };

/**
 * Whoever closes a database last writes its log back, and waits for the disk. For a program about to end: from now on it
 * is none of its connections. Never throws; where it cannot be done they wait.
 */
export function holdOpen(path: string): void {
  try {
    // Left open: to close it would take SQLite's own locks away (fcntl(2)).
    shareRange(openSync(path, 'r'), SHARED.first, SHARED.size);
  } catch {}
}

/** The file's identity, to see that it is still the one that was opened; null where there is none. */
export function identityOf(path: string): string | null {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return null;
  }
}

/**
 * Moves a damaged store out of the way and answers where to. The log goes first: a new database beside an old
 * log would be damaged by it.
 */
export function moveAside(path: string, now: number): string {
  const stamp = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
  let aside = `${path}.corrupt-${stamp}`;
  for (let n = 2; existsSync(aside); n++) aside = `${path}.corrupt-${stamp}-${n}`;
  for (const part of ['-wal', '-shm', '']) {
    if (existsSync(path + part)) renameSync(path + part, aside + part);
  }
  return aside;
}

/** The names of damaged stores and journals that were moved aside. What they hold is in no answer. */
export function movedAside(path: string): string[] {
  const before = `${basename(path)}.corrupt-`;
  if (!existsSync(dirname(path))) return [];
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(before) && !/-(wal|shm)$/.test(name))
    .sort();
}

export function isCorrupt(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error));
}

/** What went wrong with the store, for a person. */
export function storeFailure(path: string, error: unknown): Failure {
  if (error instanceof Failure) return error;
  const code = codeOf(error);
  const [what, fix] =
    REASONS.find(([pattern]) => pattern.test(code))?.slice(1) ??
    ([`${(error as Error).message}`, `Run 'clawctl egress doctor'.`] as const);
  return new Failure('store-unwritable', `The store ${path} cannot be written: ${what}.`, fix as string);
}

const REASONS: ReadonlyArray<readonly [RegExp, string, string]> = [
  [/FULL|ENOSPC|EDQUOT/, 'the disk is full', 'Free some space there, or point XDG_STATE_HOME elsewhere.'],
  [/BUSY|LOCKED/, 'another program holds it locked', 'Find it with fuser or lsof and end it.'],
  [/READONLY|EROFS/, 'it is read-only', 'Make it and its folder writable for this user.'],
  [/CANTOPEN|PERM|EACCES/, 'permission denied', 'Make it and its folder belong to this user.'],
  [/IOERR|EIO/, 'the disk reports an error', 'Check the disk and the system log.'],
];

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code ?? '');
}
