/**
 * Putting a new file in the place of the old one: whole or not at all, since gateways read their policy and their
 * tokens while they change, and half a policy may allow what the whole one denies.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Failure, type FailureCode } from '../base/failure.ts';
import { lockFile } from '../os/lock.ts';
import { adviceOf, codeOf, reasonOf } from './fileerror.ts';
import { readPolicyFile } from './policyfile.ts';

const LOCK_MILLISECONDS = 5_000;
const LOCK_PAUSE_MILLISECONDS = 20;

export function replacePolicyFile(file: string, edit: (text: string | null) => string | null): void {
  replaceFile(file, { read: readPolicyFile, unwritable: 'policy-unwritable', mode: null }, edit);
}

export interface Kind<T> {
  /** Null: no file. */
  read: (file: string) => T | null;
  /** The code of the Failure where the file cannot be written. */
  unwritable: FailureCode;
  /** Permissions of the new file; null: those of the old one. */
  mode: number | null;
}

/**
 * Runs `edit` on what the file holds (null: no file) while nobody else does, and puts what it returns in the file's
 * place. Nothing is written where it returns null or throws.
 */
export function replaceFile<T>(
  file: string,
  { read, unwritable, mode }: Kind<T>,
  edit: (content: T | null) => string | null,
): void {
  const attempt = <R>(path: string, act: () => R) => attemptAs(unwritable, path, act);
  const target = attempt(file, () => realTarget(file, unwritable));
  const folder = dirname(target);
  attempt(target, () => mkdirSync(folder, { recursive: true, mode: 0o700 }));
  const lock = attempt(target, () => openLock(join(folder, `.${basename(target)}.lock`)));
  try {
    takeLock(lock, target, unwritable);
    const text = edit(read(target));
    if (text !== null) attempt(target, () => replace(target, text, mode));
  } finally {
    closeSync(lock);
  }
}

/** Where to write. A symbolic link is followed only to a file of our own: it could have been planted. */
function realTarget(file: string, unwritable: FailureCode): string {
  const link = lstatSync(file, { throwIfNoEntry: false });
  if (link === undefined || !link.isSymbolicLink()) return file;
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new Failure(unwritable, `${file} is a symbolic link to nothing`, 'Take the link away.');
  if (stats.uid !== process.getuid!())
    throw new Failure(
      unwritable,
      `${file} is a symbolic link to a file of somebody else`,
      'Edit that file as its owner, or put a file of your own in place of the link.',
    );
  return realpathSync(file);
}

/** The lock file stays: taking it away would let two writers each hold a lock of the same name. */
function openLock(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
}

function takeLock(fd: number, file: string, unwritable: FailureCode): void {
  for (let waited = 0; !lockFile(fd, false); waited += LOCK_PAUSE_MILLISECONDS) {
    if (waited >= LOCK_MILLISECONDS)
      throw new Failure(unwritable, `${file} is being edited by another process`, 'Try again.');
    Bun.sleepSync(LOCK_PAUSE_MILLISECONDS);
  }
}

function replace(file: string, text: string, mode: number | null): void {
  const old = statSync(file, { throwIfNoEntry: false });
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}.new`);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  // Left behind by a process of the same number that was killed; the lock is ours, so nobody writes it now.
  if (lstatSync(temporary, { throwIfNoEntry: false }) !== undefined) unlinkSync(temporary);
  const fd = openSync(temporary, flags, 0o600);
  try {
    try {
      if (old !== undefined) keepOwner(fd, old, mode);
      writeAll(fd, Buffer.from(text, 'utf8'));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, file);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  }
  const folder = openSync(dirname(file), constants.O_RDONLY | constants.O_DIRECTORY);
  fsyncSync(folder);
  closeSync(folder);
}

function keepOwner(fd: number, old: Stats, mode: number | null): void {
  if (old.uid !== process.getuid!()) fchownSync(fd, old.uid, old.gid);
  fchmodSync(fd, mode ?? old.mode & 0o777);
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
}

function attemptAs<T>(unwritable: FailureCode, file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof Failure || codeOf(error) === undefined) throw error;
    throw new Failure(unwritable, `${file} cannot be written: ${reasonOf(error)}`, adviceOf(error));
  }
}
