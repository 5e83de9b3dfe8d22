/**
 * Writes batches to the store and looks after the store's file: opens it, opens it again where somebody has
 * replaced or removed it, and puts a new one in the place of a damaged one. Opened, it first takes what others left.
 */
import type { Database } from 'bun:sqlite';
import type { FailureCode } from '../base/failure.ts';
import { settleAbandoned } from './abandoned.ts';
import type { Commit } from './commit.ts';
import type { Mark } from './journal.ts';
import { cutLog } from './log.ts';
import type { Row } from './row.ts';
import { openSealed } from './sealed.ts';
import { identityOf, isCorrupt, makeFolder, moveAside, storeFailure } from './store.ts';
import { ifOurTurn, inTurn } from './turn.ts';

/** How a batch went. `replaced`: where a damaged store was moved to on the way. */
export type Written =
  | { ok: true; replaced: string | null }
  | { ok: false; code: FailureCode; what: string; fix: string | undefined };

export interface Writer {
  /** Writes all of it or nothing, when it is our turn; never throws. No rows: only makes sure that the store is open. */
  write(rows: readonly Row[], mark?: Mark | null): Written;
  /** The same if it is our turn at once; null if it is not. */
  writeNow(rows: readonly Row[], mark?: Mark | null): Written | null;
  /** Leaves a short log to whoever opens the store next, who has to read it. Never throws. */
  finish(): void;
  close(): void;
}

interface Opened {
  db: Database;
  identity: string | null;
  commit: Commit;
}

export function createWriter(path: string): Writer {
  let opened: Opened | null = null;

  const close = () => {
    opened?.db.close();
    opened = null;
  };
  const open = (isMoved: boolean): Opened => {
    const { db, commit } = openSealed(path, isMoved);
    try {
      settleAbandoned(path, db, commit);
      return { db, commit, identity: identityOf(path) };
    } catch (error) {
      db.close();
      throw error;
    }
  };
  const attempt = (rows: readonly Row[], mark: Mark | null, isMoved = false) => {
    if (opened !== null && identityOf(path) !== opened.identity) close();
    opened ??= open(isMoved);
    if (rows.length > 0) opened.commit(rows, mark);
  };

  const replacing = (rows: readonly Row[], mark: Mark | null): Written => {
    try {
      attempt(rows, mark);
      return { ok: true, replaced: null };
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      close();
      const replaced = moveAside(path, Date.now());
      attempt(rows, mark, true);
      return { ok: true, replaced };
    }
  };
  const guarded = <T>(take: () => T): T | Written => {
    try {
      if (opened === null) makeFolder(path);
      return take();
    } catch (error) {
      // What failed may have left more behind than a transaction; the next attempt starts afresh.
      close();
      const { code, message, fix } = storeFailure(path, error);
      return { ok: false, code, what: message, fix };
    }
  };

  return {
    write: (rows, mark = null) => guarded(() => inTurn(path, () => replacing(rows, mark))),
    writeNow: (rows, mark = null) => guarded(() => ifOurTurn(path, () => replacing(rows, mark))),
    finish() {
      try {
        if (opened !== null) cutLog(path, opened.db);
      } catch {
        // The next one has more to read.
      }
    },
    close,
  };
}
