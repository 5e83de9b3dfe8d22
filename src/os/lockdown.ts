/**
 * Giving up everything, for good: capabilities, new privileges, reach beyond the fence, system calls.
 *
 * All of this belongs to one thread, not to the process, and the runtime has others. execve(2) ends those and
 * leaves the thread that calls it; so this must run on the thread that will call it, which is the first: /proc
 * shows that one under the process's own number, and there the outside checks it.
 */
import { EINVAL, ENOSYS } from './errno.ts';
import { restrictThread } from './landlock.ts';
import { addressOf, check, errno, libc, OsError, systemCall } from './libc.ts';

const PR_SET_PDEATHSIG = 1;
const PR_CAPBSET_DROP = 24;
const PR_SET_SECUREBITS = 28;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
/** Root is given no capabilities by executing, and none can be made ambient; both locked (capabilities(7)). */
const SECURE_BITS = 0x01 | 0x02 | 0x40 | 0x80;
const CAPABILITY_VERSION_3 = 0x20080522;
const SYS_SECCOMP = { x64: 317, arm64: 277 } as Record<string, number>;
const SYS_CLOSE_RANGE = 436;
const SECCOMP_SET_MODE_FILTER = 1;
const CLOSE_RANGE_CLOEXEC = 4;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const SIGKILL = 9;

/** Every descriptor above 2 closes on exec. Needs nothing, and harms nothing done before. */
function closeOthersOnExec(): void {
  try {
    systemCall('close_range', SYS_CLOSE_RANGE, 3, 0xffffffff, CLOSE_RANGE_CLOEXEC);
  } catch (error) {
    const isOlderKernel = error instanceof OsError && [ENOSYS, EINVAL].includes(error.errno); // before 5.11
    if (!isOlderKernel) throw error;
    const { readdirSync } = process.getBuiltinModule('node:fs');
    for (const name of readdirSync('/proc/self/fd'))
      if (Number(name) > 2) libc.fcntl(Number(name), F_SETFD, FD_CLOEXEC);
  }
}

/**
 * `writable`: folders below which files may be opened for writing. `filter`: the system call filter, as `filterProgram`
 * makes it. Returns Landlock's ABI (scoping needs 6). Throws OsError at the first step that fails: do not go on then.
 */
export function lockDown(writable: readonly Uint8Array[], filter: Uint8Array): number {
  if (libc.gettid() !== libc.getpid()) throw new Error('not on the first thread');
  closeOthersOnExec();
  check('prctl', libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'no_new_privs');
  check('prctl', libc.prctl(PR_SET_SECUREBITS, SECURE_BITS, 0, 0, 0), 'securebits');
  check('prctl', libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), 'ambient capabilities');
  emptyBoundingSet();
  dropCapabilities();
  check('prctl', libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), 'death with the parent');
  const landlock = restrictThread(writable);
  installFilter(filter);
  return landlock;
}

/** No capability can be had again, by whatever is executed. */
function emptyBoundingSet(): void {
  for (let capability = 0; ; capability++) {
    if (libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) === 0) continue;
    const failed = errno();
    if (failed === EINVAL && capability > 0) return; // the kernel has no more
    throw new OsError('prctl', failed, 'bounding set');
  }
}

function dropCapabilities(): void {
  const header = Buffer.alloc(8); // struct __user_cap_header_struct; process 0 is this thread
  header.writeUInt32LE(CAPABILITY_VERSION_3, 0);
  check('capset', libc.capset(header, Buffer.alloc(24)));
}

function installFilter(program: Uint8Array): void {
  const PROGRAM = 16;
  const filter = Buffer.alloc(PROGRAM + program.length); // struct sock_fprog and, behind it, the program
  filter.set(program, PROGRAM);
  filter.writeUInt16LE(program.length / 8, 0);
  filter.writeBigUInt64LE(BigInt(addressOf(filter) + PROGRAM), 8);
  systemCall('seccomp', SYS_SECCOMP[process.arch]!, SECCOMP_SET_MODE_FILTER, 0, filter);
}
