/**
 * The store for whoever commits. It is sealed from the first moment, empty as it is: so a key without a seal, or without a
 * store, says that there was one.
 */
import type { Database } from 'bun:sqlite';
import { existsSync, rmSync } from 'node:fs';
import { keyFileOf, signingKey } from './checkpoint.ts';
import { type Commit, createCommit } from './commit.ts';
import { rowOf } from './row.ts';
import { openStore } from './store.ts';

export interface Sealed {
  db: Database;
  commit: Commit;
}

/**
 * To be called in turn. `isMoved`: the one that was there before has just been moved aside. Throws what SQLite or the
 * system throws.
 */
export function openSealed(store: string, isMoved: boolean): Sealed {
  const hadKey = existsSync(keyFileOf(store));
  const db = openStore(store);
  try {
    const commit = createCommit(db, signingKey(store));
    if (db.query('SELECT 1 FROM seal').get() === null) first(store, commit, hadKey, isMoved);
    return { db, commit };
  } catch (error) {
    db.close();
    throw error;
  }
}

function first(store: string, commit: Commit, hadKey: boolean, isMoved: boolean): void {
  try {
    commit(hadKey && !isMoved ? [rowOf(lossOf(store))] : []);
  } catch (error) {
    // A full disk, perhaps. Nothing was sealed with it.
    if (!hadKey) rmSync(keyFileOf(store), { force: true });
    throw error;
  }
}

const lossOf = (store: string) =>
  ({
    kind: 'notice',
    time: Date.now(),
    agent: 'clawctl',
    session: '',
    topic: 'store-replaced',
    text: `The store ${store} had been removed or emptied, though its key was still there; it was begun anew.`,
  }) as const;
