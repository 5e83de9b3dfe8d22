/** A SQLite database of ours: one file in WAL mode, for its owner alone, with tables of a known version. */
import { Database } from 'bun:sqlite';
import { chmodSync, closeSync, openSync, statSync } from 'node:fs';
import { Failure } from '../base/failure.ts';

export interface Layout {
  /** What a person calls it, at the beginning of a sentence. */
  name: string;
  version: number;
  /** Makes every table, and sets `user_version` to the version. */
  schema: string;
  /** Makes what it lacks of what came after its version, and may find it there. */
  added?: string;
}

/**
 * Opens it for writing, creating file and tables as needed. `patience`: milliseconds to wait for others while that is
 * done and after. `prepare` sets what else the connection needs. Throws what SQLite or the system throws, and Failure
 * where a newer program has written it.
 */
export function openDatabase(
  path: string,
  layout: Layout,
  patience: number,
  prepare: (db: Database) => void = () => {},
): Database {
  // SQLite gives its -wal and -shm files the mode of the database file, so that one is created first. One that is there is
  // not opened: to close it again would take the locks of this process's other connections to it away (fcntl(2)).
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) closeSync(openSync(path, 'a', 0o600));
  else if ((found.mode & 0o077) !== 0) chmodSync(path, 0o600);
  const db = new Database(path, { readwrite: true, strict: true });
  try {
    db.run(`PRAGMA busy_timeout = ${patience}`);
    prepare(db);
    db.run('PRAGMA journal_mode = WAL');
    db.run('PRAGMA synchronous = NORMAL');
    db.transaction(() => ensureSchema(db, path, layout)).immediate();
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function ensureSchema(db: Database, path: string, { name, version, schema, added }: Layout): void {
  const { user_version: found } = db.query('PRAGMA user_version').get() as { user_version: number };
  if (found > version) {
    throw new Failure(
      'store-unwritable',
      `${name} ${path} was written by a newer version of this program.`,
      'Use that version, or move the file away.',
    );
  }
  if (found === 0) db.run(schema);
  if (added !== undefined) db.run(added);
}
