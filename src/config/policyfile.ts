/** Policy files on disk, read with care, since a path can lead to anything. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { LARGEST_POLICY } from '../policy/largest.ts';
import { adviceOf, codeOf, reasonOf } from './fileerror.ts';

/** The file's text, or null if there is no such file. */
export function readPolicyFile(file: string): string | null {
  let fd: number;
  try {
    // Opening a pipe or a terminal must not block, nor make it ours.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw new Failure('policy-broken', `${file}: ${reasonOf(error)}`, adviceOf(error));
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new Failure('policy-broken', `${file} is not a regular file`);
    if (stats.size > LARGEST_POLICY) throw new Failure('policy-broken', `${file} is larger than 64 MiB`);
    return decode(file, readAll(fd, stats.size));
  } finally {
    closeSync(fd);
  }
}

/** One more octet than expected is asked for, so that a file that grows meanwhile is noticed. */
function readAll(fd: number, size: number): Buffer {
  const buffer = Buffer.alloc(size + 1);
  let length = 0;
  while (length < buffer.length) {
    const read = readSync(fd, buffer, length, buffer.length - length, null);
    if (read === 0) break;
    length += read;
  }
  return buffer.subarray(0, length);
}

function decode(file: string, bytes: Buffer): string {
  try {
    // A byte order mark is kept, for the reader to refuse.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Failure('policy-broken', `${file} is not UTF-8 text`, 'Save it as UTF-8.');
  }
}
