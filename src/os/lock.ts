/** Locks on open files: whole ones (flock(2)), and ranges (fcntl(2)). */
import { EAGAIN } from './errno.ts';
import { check, errno, libc, systemCall } from './libc.ts';
import { numberHere } from './syscalls.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const F_OFD_SETLK = 37;
const F_RDLCK = 0n;

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

/**
 * Shares some octets of an open file with others until it is closed; meanwhile nobody can have them alone. Throws OsError,
 * with EAGAIN where somebody has.
 */
export function shareRange(fd: number, start: number, length: number): void {
  // struct flock: type and origin (the file's beginning) in one word, start, length, and a process that is nobody's.
  const range = BigInt64Array.of(F_RDLCK, BigInt(start), BigInt(length), 0n);
  systemCall('fcntl', numberHere('fcntl'), fd, F_OFD_SETLK, range);
}
