/**
 * What the inside of a starting fence asks of files. The runtime's own module for files takes longer to load than
 * all of ours there, and a person waits for it.
 */
import { closeDescriptor } from './descriptors.ts';
import { EACCES, EEXIST, ENOENT, ENOTDIR } from './errno.ts';
import { check, cString, errno, libc, OsError } from './libc.ts';

const AT_FDCWD = -100;
const O_RDONLY = 0;
const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_PATH = 0o10000000;
const O_DIRECTORY = 0o200000;
const O_CLOEXEC = 0o2000000;
const PIECE = 4096;
const SLASH = 0x2f;

/** Follows symbolic links. Null where there is nothing, or nothing that this process can reach. Throws OsError. */
export function kindAt(path: Uint8Array): 'folder' | 'other' | null {
  for (const [kind, flags] of [
    ['folder', O_PATH | O_DIRECTORY | O_CLOEXEC],
    ['other', O_PATH | O_CLOEXEC],
  ] as const) {
    const fd = libc.openat(AT_FDCWD, cString(path), flags, 0);
    if (fd >= 0) {
      closeDescriptor(fd);
      return kind;
    }
    const failed = errno();
    if (failed === ENOENT || failed === EACCES) return null;
    if (failed !== ENOTDIR) throw new OsError('openat', failed, `${Buffer.from(path)}`);
  }
  return null; // something on the way is no folder
}

/** A new file that everybody may read, with the folders on the way to it. Throws OsError, also where there is one. */
export function makeFile(path: Uint8Array, content: Uint8Array): void {
  const name = `${Buffer.from(path)}`;
  const mask = process.umask(0); // the person's is for what the person makes
  try {
    for (let at = path.indexOf(SLASH, 1); at > 0; at = path.indexOf(SLASH, at + 1))
      makeFolder(path.subarray(0, at));
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    const fd = check('openat', libc.openat(AT_FDCWD, cString(path), flags, 0o444), name);
    try {
      const written = check('pwrite', libc.pwrite(fd, content, content.length, 0), name);
      if (written < content.length) throw new Error(`${name} could not be written whole`);
    } finally {
      closeDescriptor(fd);
    }
  } finally {
    process.umask(mask);
  }
}

function makeFolder(path: Uint8Array): void {
  if (libc.mkdir(cString(path), 0o755) === 0) return;
  const failed = errno();
  if (failed !== EEXIST) throw new OsError('mkdir', failed, `${Buffer.from(path)}`);
}

/** The whole of a file of /proc, one character per byte. Null where it cannot be read. */
export function readProc(path: string): string | null {
  const fd = libc.openat(AT_FDCWD, cString(path), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return null;
  try {
    let text = '';
    const piece = Buffer.alloc(PIECE);
    for (;;) {
      const length = check('pread', libc.pread(fd, piece, PIECE, text.length), path);
      if (length === 0) return text;
      text += piece.toString('latin1', 0, length);
    }
  } catch (error) {
    if (error instanceof OsError) return null; // the process has ended
    throw error;
  } finally {
    closeDescriptor(fd);
  }
}
