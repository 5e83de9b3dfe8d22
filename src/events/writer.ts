/**
 * Writes batches to the store and looks after the store's file: opens it, opens it again where somebody has
 * replaced or removed it, and puts a new one in the place of a damaged one.
 */
import type { Database } from 'bun:sqlite';
import type { FailureCode } from '../base/failure.ts';
import { signingKey } from './checkpoint.ts';
import { createCommit } from './commit.ts';
import type { Row } from './row.ts';
import { identityOf, isCorrupt, moveAside, openStore, storeFailure } from './store.ts';
import { createTurn, type Turn } from './turn.ts';

/** How a batch went. `replaced`: where a damaged store was moved to on the way. */
export type Written =
  | { ok: true; replaced: string | null }
  | { ok: false; code: FailureCode; what: string; fix: string | undefined };

export interface Writer {
  /** Writes all rows or none; never throws. No rows: only makes sure that the store is open. */
  write(rows: readonly Row[]): Written;
}

interface Opened {
  db: Database;
  turn: Turn;
  identity: string | null;
  commit: (rows: readonly Row[]) => void;
}

export function createWriter(path: string): Writer {
  let opened: Opened | null = null;

  const close = () => {
    opened?.db.close();
    opened?.turn.close();
    opened = null;
  };
  const open = (): Opened => {
    const db = openStore(path);
    try {
      const commit = createCommit(db, signingKey(path));
      return { db, commit, turn: createTurn(path), identity: identityOf(path) };
    } catch (error) {
      db.close();
      throw error;
    }
  };
  const attempt = (rows: readonly Row[]) => {
    if (opened !== null && identityOf(path) !== opened.identity) close();
    opened ??= open();
    const { turn, commit } = opened;
    turn.take(() => {
      if (rows.length > 0) commit(rows);
    });
  };
  /** Unless another process has replaced it meanwhile: then that new one is good. */
  const replace = (): string | null => {
    const damaged = opened?.identity ?? identityOf(path);
    close();
    const turn = createTurn(path);
    try {
      return turn.take(() => (identityOf(path) === damaged ? moveAside(path, Date.now()) : null));
    } finally {
      turn.close();
    }
  };

  return {
    write(rows) {
      try {
        try {
          attempt(rows);
          return { ok: true, replaced: null };
        } catch (error) {
          if (!isCorrupt(error)) throw error;
          const replaced = replace();
          attempt(rows);
          return { ok: true, replaced };
        }
      } catch (error) {
        const { code, message, fix } = storeFailure(path, error);
        return { ok: false, code, what: message, fix };
      }
    },
  };
}
