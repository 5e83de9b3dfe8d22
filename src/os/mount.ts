/** Mounting inside a mount namespace of one's own (mount(2), overlayfs in the kernel's documentation). */
import { closeDescriptor } from './descriptors.ts';
import { check, cString, libc } from './libc.ts';

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
    const flags = MS_NOSUID | MS_NODEV;
    check(
      'mount',
      libc.mount(cString('overlay'), cString(target), cString('overlay'), flags, cString(options)),
      `overlay at ${Buffer.from(target)}`,
    );
  } finally {
    for (const fd of folders) closeDescriptor(fd);
  }
}

function openFolder(path: Path): number {
  const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  return check('openat', libc.openat(AT_FDCWD, cString(path), flags, 0), `${Buffer.from(path)}`);
}

/** An empty file system in memory of at most `bytes`. */
export function mountMemory(target: Path, bytes: number): void {
  const options = cString(`mode=0700,size=${bytes}`);
  check(
    'mount',
    libc.mount(cString('tmpfs'), cString(target), cString('tmpfs'), MS_NOSUID | MS_NODEV, options),
    `tmpfs at ${Buffer.from(target)}`,
  );
}

/** Covers a folder by an empty one that nothing can be put into. */
export function coverFolder(target: Path): void {
  const flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  const options = cString('mode=0555,size=4k,nr_inodes=1');
  check(
    'mount',
    libc.mount(cString('tmpfs'), cString(target), cString('tmpfs'), flags, options),
    `over ${Buffer.from(target)}`,
  );
}

/** Covers anything that is not a folder by /dev/null. */
export function coverFile(target: Path): void {
  check(
    'mount',
    libc.mount(cString('/dev/null'), cString(target), null, MS_BIND, null),
    `over ${Buffer.from(target)}`,
  );
}

/** Pseudo-terminals of our own: nobody else's can be seen or opened by them. */
export function mountTerminals(target: Path): void {
  const options = cString('newinstance,ptmxmode=0666,mode=0620');
  check(
    'mount',
    libc.mount(cString('devpts'), cString(target), cString('devpts'), MS_NOSUID | MS_NOEXEC, options),
    `devpts at ${Buffer.from(target)}`,
  );
}

/** What is there can be read and not written from now on: a mount of its own over itself, of none of the powers. */
export function protectMount(target: Path): void {
  replaceFile(target, target);
}

/** Shows a file (or a folder) in the place of another, to be read and not written, of none of the powers. */
export function replaceFile(source: Path, target: Path): void {
  const path = cString(target);
  const flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  check('mount', libc.mount(cString(source), path, null, MS_BIND, null), `over ${Buffer.from(target)}`);
  check('mount', libc.mount(null, path, null, flags, null), `${Buffer.from(target)} read-only`);
}

export function moveMount(source: Path, target: Path): void {
  check(
    'mount',
    libc.mount(cString(source), cString(target), null, MS_MOVE, null),
    `${Buffer.from(source)} to ${Buffer.from(target)}`,
  );
}

/** What is mounted outside from now on stays outside: it would come in writable. */
export function stopPropagation(): void {
  check('mount', libc.mount(null, cString('/'), null, MS_REC | MS_PRIVATE, null), 'private mounts');
}

/** Out of sight at once; gone when nobody uses it any more. */
export function detachMount(target: Path): void {
  check('umount2', libc.umount2(cString(target), MNT_DETACH), `${Buffer.from(target)}`);
}
