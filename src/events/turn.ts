/**
 * Gateways that share the store commit in turns. SQLite's own waiting sleeps in steps of milliseconds; a lock
 * on a file beside the store wakes the next one at once, and it is free again when its holder dies.
 * It is for speed and for replacing a damaged store; what keeps the store consistent is SQLite's own locking.
 */
import { closeSync, openSync } from 'node:fs';
import { libc } from '../os/libc.ts';

/** flock(2). */
const LOCK_EX = 2;
const LOCK_UN = 8;

export interface Turn {
  /** Waits, blocking the thread, until it is our turn; runs `work`; gives the turn away. */
  take<T>(work: () => T): T;
  close(): void;
}

export function createTurn(store: string): Turn {
  const fd = openSync(`${store}.lock`, 'a', 0o600);
  return {
    take(work) {
      libc.flock(fd, LOCK_EX);
      try {
        return work();
      } finally {
        libc.flock(fd, LOCK_UN);
      }
    },
    close: () => closeSync(fd),
  };
}
