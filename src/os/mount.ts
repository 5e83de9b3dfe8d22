/** Mounting inside a mount namespace of one's own (mount(2), overlayfs in the kernel's documentation). */
import { closeDescriptor } from './descriptors.ts';
import { cString, errno, libc, OsError } from './libc.ts';

const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MS_MOVE = 8192;
const MS_REC = 16384;
const MS_PRIVATE = 1 << 18;
const MNT_DETACH = 2;
const AT_FDCWD = -100;
const O_PATH = 0o10000000;
const O_DIRECTORY = 0o200000;
const O_CLOEXEC = 0o2000000;

type Path = Uint8Array;

/** Of what is mounted already. */
const NO_TYPE = null;
const TMPFS = cString('tmpfs');
const NULL_DEVICE = cString('/dev/null');

/** mount(2). Throws OsError, saying what was to be mounted where. */
function mount(
  what: string,
  target: Path,
  source: Uint8Array | null,
  type: Uint8Array | null,
  flags: number,
  options: string | null = null,
): void {
  const data = options === null ? null : cString(options);
  const result = libc.mount(source, cString(target), type, flags, data);
  // Put together only where it is needed: the start of a fence waits for a hundred of these.
  if (result < 0) throw new OsError('mount', errno(), `${what} ${Buffer.from(target)}`);
}

/**
 * A copy-on-write view of `lower` at `target`; changes land in `upper`. The paths are handed over as descriptors,
 * since overlayfs would take a comma or a colon in a name for the end of it. Throws OsError; EINVAL: the file
 * system of `upper` cannot hold a layer.
 */
export function mountOverlay(lower: Path, upper: Path, work: Path, target: Path): void {
  const folders = [lower, upper, work].map((path) => openFolder(path));
  try {
    const [low, up, working] = folders.map((fd) => `/proc/self/fd/${fd}`);
    const options = `userxattr,lowerdir=${low},upperdir=${up},workdir=${working}`;
    const type = cString('overlay');
    mount('overlay at', target, type, type, MS_NOSUID | MS_NODEV, options);
  } finally {
    for (const fd of folders) closeDescriptor(fd);
  }
}

function openFolder(path: Path): number {
  const fd = libc.openat(AT_FDCWD, cString(path), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) throw new OsError('openat', errno(), `${Buffer.from(path)}`);
  return fd;
}

/** An empty file system in memory of at most `bytes`. */
export function mountMemory(target: Path, bytes: number): void {
  mount('tmpfs at', target, TMPFS, TMPFS, MS_NOSUID | MS_NODEV, `mode=0700,size=${bytes}`);
}

/** Covers a folder by an empty one that nothing can be put into. */
export function coverFolder(target: Path): void {
  const flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  mount('over', target, TMPFS, TMPFS, flags, 'mode=0555,size=4k,nr_inodes=1');
}

/** Covers anything that is not a folder by /dev/null. */
export function coverFile(target: Path): void {
  mount('over', target, NULL_DEVICE, NO_TYPE, MS_BIND);
}

/** Pseudo-terminals of our own: nobody else's can be seen or opened by them. */
export function mountTerminals(target: Path): void {
  const type = cString('devpts');
  mount('devpts at', target, type, type, MS_NOSUID | MS_NOEXEC, 'newinstance,ptmxmode=0666,mode=0620');
}

/** What is there can be read and not written from now on: a mount of its own over itself, of none of the powers. */
export function protectMount(target: Path): void {
  replaceFile(target, target);
}

/** Shows a file (or a folder) in the place of another, to be read and not written, of none of the powers. */
export function replaceFile(source: Path, target: Path): void {
  const flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  mount('over', target, cString(source), NO_TYPE, MS_BIND);
  mount('read-only', target, null, NO_TYPE, flags);
}

export function moveMount(source: Path, target: Path): void {
  mount('moved to', target, cString(source), NO_TYPE, MS_MOVE);
}

/** What is mounted outside from now on stays outside: it would come in writable. */
export function stopPropagation(): void {
  mount('private', Buffer.from('/'), null, NO_TYPE, MS_REC | MS_PRIVATE);
}

/** Out of sight at once; gone when nobody uses it any more. */
export function detachMount(target: Path): void {
  const result = libc.umount2(cString(target), MNT_DETACH);
  if (result < 0) throw new OsError('umount2', errno(), `${Buffer.from(target)}`);
}
