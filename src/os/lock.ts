/** Locks between processes, on open files (flock(2)). */
import { EAGAIN } from './errno.ts';
import { check, errno, libc } from './libc.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Takes the only lock on an open file, until it is closed. `wait`: blocks until it is free; otherwise false where
 * somebody else has it.
 */
export function lockFile(fd: number, wait: boolean): boolean {
  const result = libc.flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
  if (result !== 0 && !wait && errno() === EAGAIN) return false;
  check('flock', result);
  return true;
}
