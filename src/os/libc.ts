/**
 * The C library, by FFI: the only door to system calls that the runtime does not offer.
 *
 * Memory: a pointer keeps nothing alive. Every call must therefore be given the buffer itself (a `ptr` argument
 * accepts a typed array), and what the kernel reads through a second pointer (an iovec, an argv) lies in that
 * same buffer: `addressOf(buffer) + offset`. So what the kernel touches is alive for as long as the call lasts.
 *
 * errno belongs to the thread and is read at once after the call that failed, before anything else runs.
 */
import { dlopen, type Pointer, ptr, read } from 'bun:ffi';
import { errnoName } from './errno.ts';

const { symbols } = dlopen('libc.so.6', {
  // sockets
  socket: { args: ['int', 'int', 'int'], returns: 'int' },
  socketpair: { args: ['int', 'int', 'int', 'ptr'], returns: 'int' },
  bind: { args: ['int', 'ptr', 'u32'], returns: 'int' },
  connect: { args: ['int', 'ptr', 'u32'], returns: 'int' },
  listen: { args: ['int', 'int'], returns: 'int' },
  setsockopt: { args: ['int', 'int', 'int', 'ptr', 'u32'], returns: 'int' },
  getsockopt: { args: ['int', 'int', 'int', 'ptr', 'ptr'], returns: 'int' },
  send: { args: ['int', 'ptr', 'u64', 'int'], returns: 'i64' },
  sendto: { args: ['int', 'ptr', 'u64', 'int', 'ptr', 'u32'], returns: 'i64' },
  recv: { args: ['int', 'ptr', 'u64', 'int'], returns: 'i64' },
  sendmsg: { args: ['int', 'ptr', 'int'], returns: 'i64' },
  recvmsg: { args: ['int', 'ptr', 'int'], returns: 'i64' },
  // descriptors and files
  openat: { args: ['int', 'ptr', 'int', 'u32'], returns: 'int' },
  close: { args: ['int'], returns: 'int' },
  mkdir: { args: ['ptr', 'u32'], returns: 'int' },
  pipe2: { args: ['ptr', 'int'], returns: 'int' },
  memfd_create: { args: ['ptr', 'u32'], returns: 'int' },
  pread: { args: ['int', 'ptr', 'u64', 'i64'], returns: 'i64' },
  pwrite: { args: ['int', 'ptr', 'u64', 'i64'], returns: 'i64' },
  fcntl: { args: ['int', 'int', 'i64'], returns: 'int' },
  flock: { args: ['int', 'int'], returns: 'int' },
  ioctl: { args: ['int', 'u64', 'ptr'], returns: 'int' },
  mount: { args: ['ptr', 'ptr', 'ptr', 'u64', 'ptr'], returns: 'int' },
  umount2: { args: ['ptr', 'int'], returns: 'int' },
  chdir: { args: ['ptr'], returns: 'int' },
  // processes
  prctl: { args: ['int', 'u64', 'u64', 'u64', 'u64'], returns: 'int' },
  capset: { args: ['ptr', 'ptr'], returns: 'int' },
  setpgid: { args: ['int', 'int'], returns: 'int' },
  getpid: { args: [], returns: 'int' },
  gettid: { args: [], returns: 'int' },
  signal: { args: ['int', 'u64'], returns: 'i64' },
  sigprocmask: { args: ['int', 'ptr', 'ptr'], returns: 'int' },
  prlimit: { args: ['int', 'int', 'ptr', 'ptr'], returns: 'int' },
  execve: { args: ['ptr', 'ptr', 'ptr'], returns: 'int' },
  // calls without a wrapper in older C libraries
  syscall: { args: ['i64', 'ptr', 'ptr', 'ptr', 'ptr'], returns: 'i64' },
  __errno_location: { args: [], returns: 'ptr' },
});

export const libc = symbols;

/** A system call that failed: its name, the number and the name of the error. */
export class OsError extends Error {
  readonly code: string;
  constructor(
    readonly call: string,
    readonly errno: number,
    what = '',
  ) {
    const code = errnoName(errno);
    super(`${call}${what === '' ? '' : ` (${what})`}: ${code}`);
    this.name = 'OsError';
    this.code = code;
  }
}

export function errno(): number {
  return read.i32(symbols.__errno_location()!, 0);
}

/** Passes a result on, unless it is -1: then throws OsError. `what`: on what the call was made, for a person. */
export function check(call: string, result: number | bigint, what = ''): number {
  if (result < 0) throw new OsError(call, errno(), what);
  return Number(result);
}

type Argument = number | NodeJS.TypedArray;

/** A system call by its number, for those that older C libraries have no function for. Throws OsError. */
export function systemCall(
  name: string,
  number: number,
  a: Argument,
  b: Argument,
  c: Argument = 0,
  d: Argument = 0,
): number {
  // A `ptr` argument takes a plain number too, and passes all of it on.
  return check(name, libc.syscall(number, a as Pointer, b as Pointer, c as Pointer, d as Pointer));
}

/** Where a buffer lies, for pointers inside that same buffer (see the rule at the top). */
export function addressOf(buffer: Uint8Array): number {
  return ptr(buffer);
}

/** A NUL-terminated string. Throws where the bytes hold a NUL, which would cut them short. */
export function cString(bytes: Uint8Array | string): Buffer {
  const body = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
  if (body.includes(0)) throw new Error('a NUL byte in a path or an argument');
  const terminated = Buffer.alloc(body.length + 1);
  terminated.set(body);
  return terminated;
}
