/**
 * SQLite's write-ahead log: commits are appended to it, and from time to time what it holds is written back into
 * the database. That waits for the disk, so it is never done by whoever commits.
 */
import type { Database } from 'bun:sqlite';
import { statSync } from 'node:fs';
import { inTurn } from './turn.ts';

/** Octets of log from which it is worth writing it back. */
const LONG_LOG = 4 * 2 ** 20;
/** Frames of the log (4 KiB each) from which it is written back, and from which it also starts again. */
const LONG = 2_000;
const LONGER = 6_000;
/** Frames that may be left to write back while nobody can commit. */
const FEW = 500;

/** Whether the log's file is long. It may hold little all the same: it is not cut when it starts again. */
export function isLogLong(store: string): boolean {
  return sizeOf(store) >= LONG_LOG;
}

/** Whether it has been begun and can soon be read: nobody waits for the disk who opens the store then, or adds a few rows. */
export function isLogShort(store: string): boolean {
  const size = sizeOf(store);
  return size > 0 && size < LONG_LOG;
}

function sizeOf(store: string): number {
  return statSync(`${store}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * Most of the log is written back while others commit. Only a log with nothing left to write back starts
 * again from its beginning, so now and then the last few frames are written back in a turn of our own.
 */
export function writeBack(store: string, db: Database): void {
  if (!isLogLong(store)) return;
  let { log, checkpointed } = checkpoint(db, 'NOOP');
  for (let round = 0; round < 5 && log - checkpointed > (round === 0 ? LONG : FEW); round++) {
    checkpoint(db, 'PASSIVE');
    ({ log, checkpointed } = checkpoint(db, 'NOOP'));
  }
  if (log > LONGER && log > checkpointed) inTurn(store, () => checkpoint(db, 'PASSIVE'));
}

/** Writes everything back and cuts the log, unless somebody else is using it. */
export function cutLog(store: string, db: Database): void {
  checkpoint(db, 'PASSIVE');
  inTurn(store, () => checkpoint(db, 'TRUNCATE'));
}

function checkpoint(
  db: Database,
  mode: 'NOOP' | 'PASSIVE' | 'TRUNCATE',
): { log: number; checkpointed: number } {
  return db.query(`PRAGMA wal_checkpoint(${mode})`).get() as { log: number; checkpointed: number };
}
