/**
 * Gateways that share the store commit in turns. SQLite's own waiting sleeps in steps of milliseconds; a lock
 * on a file beside the store wakes the next one at once, and it is free again when its holder dies.
 * It is for speed and for replacing a damaged store; what keeps the store consistent is SQLite's own locking.
 */
import { closeSync, openSync } from 'node:fs';
import { lockFile } from '../os/lock.ts';

/** Waits, blocking the thread, until it is our turn; runs `work`; gives the turn away. */
export function inTurn<T>(store: string, work: () => T): T {
  return take(store, true, work) as T;
}

/** Runs `work` if it is our turn at once; null if it is not. */
export function ifOurTurn<T>(store: string, work: () => T): T | null {
  return take(store, false, work);
}

function take<T>(store: string, wait: boolean, work: () => T): T | null {
  const fd = openSync(`${store}.lock`, 'a', 0o600);
  try {
    return lockFile(fd, wait) ? work() : null;
  } finally {
    closeSync(fd);
  }
}
