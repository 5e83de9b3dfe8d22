/** The store for those who only read: opened when there is one, while others write, and again when it was replaced. */
import { Database } from 'bun:sqlite';
import { Failure } from '../base/failure.ts';
import { settle } from './abandoned.ts';
import { identityOf, isCorrupt } from './store.ts';

export interface Reading {
  /** Answers `empty` while there is no store. Throws Failure where there is one that cannot be read. */
  ask<T>(empty: T, question: (db: Database) => T): T;
  close(): void;
}

export function createReading(path: string): Reading {
  let db: Database | null = null;
  let identity: string | null = null;
  const close = () => {
    db?.close();
    db = null;
  };
  const open = (): Database | null => {
    const now = identityOf(path);
    if (now !== identity) close();
    identity = now;
    if (now === null) return null;
    if (db === null) {
      settle(path);
      db = new Database(path, { readonly: true, strict: true });
      db.run('PRAGMA busy_timeout = 1000');
    }
    const { user_version: version } = db.query('PRAGMA user_version').get() as { user_version: number };
    // A store that is being created has no tables yet.
    return version === 0 ? null : db;
  };
  return {
    ask(empty, question) {
      try {
        const store = open();
        return store === null ? empty : question(store);
      } catch (error) {
        close();
        throw unreadable(path, error);
      }
    },
    close,
  };
}

function unreadable(path: string, error: unknown): Failure {
  if (isCorrupt(error)) {
    const fix = 'The next gateway that starts moves it aside and begins a new one.';
    return new Failure('store-corrupt', `The store ${path} is damaged.`, fix);
  }
  const fix = `Make it and its folder readable for this user, or run 'clawctl egress doctor'.`;
  return new Failure(
    'store-unwritable',
    `The store ${path} cannot be read: ${(error as Error).message}.`,
    fix,
  );
}
