/**
 * Putting a new policy file in the place of the old one: whole or not at all, since gateways read the file while it
 * changes and a half-written policy may allow what the whole one denies.
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
import { Failure } from '../base/failure.ts';
import { lockFile } from '../os/lock.ts';
import { adviceOf, codeOf, reasonOf } from './fileerror.ts';
import { readPolicyFile } from './policyfile.ts';

const LOCK_MILLISECONDS = 5_000;
const LOCK_PAUSE_MILLISECONDS = 20;

/**
 * Runs `edit` on the file's text (null: no file) while nobody else does, and puts what it returns in the file's
 * place. Nothing is written where it returns null or throws.
 */
export function replacePolicyFile(file: string, edit: (text: string | null) => string | null): void {
  const target = attempt(file, () => realTarget(file));
  const folder = dirname(target);
  attempt(target, () => mkdirSync(folder, { recursive: true, mode: 0o700 }));
  const lock = attempt(target, () => openLock(join(folder, `.${basename(target)}.lock`)));
  try {
    takeLock(lock, target);
    const text = edit(readPolicyFile(target));
    if (text !== null) attempt(target, () => replace(target, text));
  } finally {
    closeSync(lock);
  }
}

/** Where to write. A symbolic link is followed only to a file of our own: it could have been planted. */
function realTarget(file: string): string {
  const link = lstatSync(file, { throwIfNoEntry: false });
  if (link === undefined || !link.isSymbolicLink()) return file;
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new Failure('policy-unwritable', `${file} is a symbolic link to nothing`, 'Take the link away.');
  if (stats.uid !== process.getuid!())
    throw new Failure(
      'policy-unwritable',
      `${file} is a symbolic link to a file of somebody else`,
      'Edit that file as its owner, or put a file of your own in place of the link.',
    );
  return realpathSync(file);
}

/** The lock file stays: taking it away would let two writers each hold a lock of the same name. */
function openLock(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
}

function takeLock(fd: number, file: string): void {
  for (let waited = 0; !lockFile(fd, false); waited += LOCK_PAUSE_MILLISECONDS) {
    if (waited >= LOCK_MILLISECONDS)
      throw new Failure('policy-unwritable', `${file} is being edited by another process`, 'Try again.');
    Bun.sleepSync(LOCK_PAUSE_MILLISECONDS);
  }
}

function replace(file: string, text: string): void {
  const old = statSync(file, { throwIfNoEntry: false });
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}.new`);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  // Left behind by a process of the same number that was killed; the lock is ours, so nobody writes it now.
  if (lstatSync(temporary, { throwIfNoEntry: false }) !== undefined) unlinkSync(temporary);
  const fd = openSync(temporary, flags, 0o600);
  try {
    try {
      if (old !== undefined) keepOwner(fd, old);
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

function keepOwner(fd: number, old: Stats): void {
  if (old.uid !== process.getuid!()) fchownSync(fd, old.uid, old.gid);
  fchmodSync(fd, old.mode & 0o777);
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
}

function attempt<T>(file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof Failure || codeOf(error) === undefined) throw error;
    throw new Failure('policy-unwritable', `${file} cannot be written: ${reasonOf(error)}`, adviceOf(error));
  }
}
