/**
 * Which system calls a command inside a fence may not make: those that reach around its network namespace, undo
 * its file system, reach into what is not its own, or leave behind something dangerous to run outside.
 * Everything else is allowed. A filter sees numbers and arguments but never memory, so a call whose dangerous part
 * lies in memory (clone3, openat2) is "not implemented": the C library then uses the older call, which is seen.
 *
 * Calls with conditions come first: the kernel remembers which calls are always allowed and runs the program only
 * for the others.
 */
import {
  ALLOW,
  AND,
  ARCHITECTURE,
  assemble,
  end,
  failWith,
  type Instruction,
  JUMP_IF_AT_LEAST,
  KILL_PROCESS,
  load,
  lowHalfOf,
  NUMBER,
  whenAnyBit,
  whenEqual,
  whenNoneOf,
} from './bpf.ts';
import { EAFNOSUPPORT, ENOSYS, EPERM, EPROTONOSUPPORT } from './errno.ts';
import { type Architecture, AUDIT_ARCHITECTURE, numberOf, type SystemCall } from './syscalls.ts';

/**
 * `command`: everything. `setup`: without what the inside still needs before it locks down (mounting, the
 * firewall's netlink); for bwrap's own first process, which stays and has no capability to mount with either.
 */
export type Stage = 'command' | 'setup';

interface Condition {
  calls: readonly SystemCall[];
  /** Runs with the call's number known. Falls through to the end: allowed. */
  block: readonly Instruction[];
}

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_TYPE_MASK = 0xf; // the rest are SOCK_NONBLOCK and SOCK_CLOEXEC
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const NETLINK_ROUTE = 0;
/** The default protocol, ICMP, TCP, UDP, ICMPv6. */
const PROTOCOLS = [0, 1, 6, 17, 58];
const CLONE_NEWUSER = 0x10000000;
const SETUID_OR_SETGID = 0o6000;
/** Only a call that creates a file has a mode; in others the argument is whatever lay there. */
const O_CREAT_OR_TMPFILE = 0o100 | 0o20000000;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const X32_BIT = 0x40000000;

const FAMILY = load(lowHalfOf(0));
const TYPE: Instruction[] = [load(lowHalfOf(1)), [AND, 0, 0, SOCK_TYPE_MASK]];
const PROTOCOL = load(lowHalfOf(2));

/** Reads only the low half: the kernel takes these arguments as 32 bits and ignores what lies above. */
function refuseMode(calls: SystemCall[], argument: number): Condition {
  return {
    calls,
    block: [load(lowHalfOf(argument)), ...whenAnyBit(SETUID_OR_SETGID, [end(failWith(EPERM))])],
  };
}

function refuseCreatedMode(call: SystemCall, flags: number, mode: number): Condition {
  const checkMode = refuseMode([call], mode).block;
  return { calls: [call], block: [load(lowHalfOf(flags)), ...whenAnyBit(O_CREAT_OR_TMPFILE, checkMode)] };
}

function conditions(stage: Stage): Condition[] {
  const internet = [
    ...TYPE,
    ...whenNoneOf([SOCK_STREAM, SOCK_DGRAM], [end(failWith(EPERM))]), // no raw or packet sockets
    PROTOCOL,
    ...whenNoneOf(PROTOCOLS, [end(failWith(EPROTONOSUPPORT))]),
    end(ALLOW),
  ];
  // Routing's netlink answers what addresses and interfaces there are; the firewall's has no business here.
  const routingOnly = [PROTOCOL, ...whenNoneOf([NETLINK_ROUTE], [end(failWith(EPROTONOSUPPORT))])];
  return [
    refuseCreatedMode('openat', 2, 3),
    refuseCreatedMode('open', 1, 2),
    {
      calls: ['ioctl'],
      block: [
        load(lowHalfOf(1)),
        // These type into a terminal as if the person had.
        ...whenEqual(TIOCSTI, [end(failWith(EPERM))]),
        ...whenEqual(TIOCLINUX, [end(failWith(EPERM))]),
      ],
    },
    {
      calls: ['clone', 'unshare'],
      block: [load(lowHalfOf(0)), ...whenAnyBit(CLONE_NEWUSER, [end(failWith(EPERM))])],
    },
    {
      calls: ['socket', 'socketpair'],
      block: [
        FAMILY,
        ...whenEqual(AF_UNIX, [end(ALLOW)]),
        ...whenEqual(AF_INET, internet),
        ...whenEqual(AF_INET6, internet),
        ...whenEqual(AF_NETLINK, [...(stage === 'command' ? routingOnly : []), end(ALLOW)]),
        // Among the rest: AF_VSOCK and AF_PACKET, which no network namespace or firewall holds.
        end(failWith(EAFNOSUPPORT)),
      ],
    },
    // mkdir is not among them: the kernel itself drops these bits of its mode.
    refuseMode(['chmod', 'fchmod', 'creat', 'mknod'], 1),
    refuseMode(['fchmodat', 'fchmodat2', 'mknodat'], 2),
  ];
}

const MOUNTING: SystemCall[] = [
  'mount',
  'umount2',
  'pivot_root',
  'chroot',
  'open_tree',
  'open_tree_attr',
  'move_mount',
  'fsopen',
  'fsconfig',
  'fsmount',
  'fspick',
  'mount_setattr',
];

/** Refused whatever the arguments. */
const NOT_IMPLEMENTED: SystemCall[] = [
  'clone3', // its flags lie in memory
  'openat2', // so does its mode
  'io_uring_setup', // what it does passes no filter
  'io_uring_enter',
  'io_uring_register',
];

const NOT_PERMITTED: SystemCall[] = [
  'setns',
  // reaching into another process, or by a way that passes no path
  'process_vm_readv',
  'process_vm_writev',
  'pidfd_getfd',
  'open_by_handle_at',
  // the kernel's own doors, which nothing here needs
  'bpf',
  'perf_event_open',
  'userfaultfd',
  'keyctl',
  'add_key',
  'request_key',
  'kexec_load',
  'kexec_file_load',
  'init_module',
  'finit_module',
  'delete_module',
  'syslog',
  'acct',
  'quotactl',
  'quotactl_fd',
  'swapon',
  'swapoff',
  'reboot',
  'iopl',
  'ioperm',
];

/** The filter as an array of `struct sock_filter`, for seccomp(2) and for bwrap's `--seccomp`. */
export function filterProgram(stage: Stage, architecture: Architecture = thisArchitecture()): Buffer {
  const permitted = stage === 'command' ? [...NOT_PERMITTED, ...MOUNTING] : NOT_PERMITTED;
  const rules: Condition[] = [
    ...conditions(stage),
    { calls: NOT_IMPLEMENTED, block: [end(failWith(ENOSYS))] },
    { calls: permitted, block: [end(failWith(EPERM))] },
  ];
  return assemble([
    load(ARCHITECTURE),
    // Another architecture has other numbers: 32-bit programs would pass under them.
    ...whenNoneOf([AUDIT_ARCHITECTURE[architecture]], [end(KILL_PROCESS)]),
    load(NUMBER),
    ...(architecture === 'x64' ? refuseX32 : []),
    ...rules.flatMap((rule) =>
      rule.calls.flatMap((call) => {
        const number = numberOf(call, architecture);
        return number === null ? [] : whenEqual(number, [...rule.block, end(ALLOW)]);
      }),
    ),
    end(ALLOW),
  ]);
}

/** x32 programs share the architecture's name and have numbers of their own from here on. */
const refuseX32: Instruction[] = [[JUMP_IF_AT_LEAST, 0, 1, X32_BIT], end(failWith(ENOSYS))];

function thisArchitecture(): Architecture {
  if (process.arch === 'x64' || process.arch === 'arm64') return process.arch;
  throw new Error(`no system call table for ${process.arch}`);
}
