/**
 * Gateways that share the store commit in turns. SQLite's own waiting sleeps in steps of milliseconds; a lock
 * on a file beside the store wakes the next one at once, and it is free again when its holder dies.
 * It is for speed and for replacing a damaged store; what keeps the store consistent is SQLite's own locking.
 */
import { closeSync, openSync } from 'node:fs';
import { lockFile } from '../os/lock.ts';

/** Waits, blocking the thread, until it is our turn; runs `work`; gives the turn away. */
export function inTurn<T>(store: string, work: () => T): T {
  const fd = openSync(`${store}.lock`, 'a', 0o600);
  try {
    lockFile(fd, true);
    return work();
  } finally {
    closeSync(fd);
  }
}
