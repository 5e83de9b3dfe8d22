/**
 * System call numbers, from the kernel's unistd headers: [x86-64, arm64]. Null: that architecture has no such
 * call. The arm64 column is taken from the headers and has not been run.
 */

export type Architecture = 'x64' | 'arm64';

/** AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 (linux/audit.h). */
export const AUDIT_ARCHITECTURE = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;

const NUMBERS = {
  socket: [41, 198],
  socketpair: [53, 199],
  accept4: [288, 242],
  getsockname: [51, 204],
  ftruncate: [77, 46],
  fcntl: [72, 25],
  sched_setscheduler: [144, 119],
  open: [2, null],
  openat: [257, 56],
  openat2: [437, 437],
  creat: [85, null],
  mknod: [133, null],
  mknodat: [259, 33],
  chmod: [90, null],
  fchmod: [91, 52],
  fchmodat: [268, 53],
  fchmodat2: [452, 452],
  clone: [56, 220],
  clone3: [435, 435],
  unshare: [272, 97],
  setns: [308, 268],
  ioctl: [16, 29],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  open_tree: [428, 428],
  open_tree_attr: [467, 467],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  open_by_handle_at: [304, 265],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  pidfd_getfd: [438, 438],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  keyctl: [250, 219],
  add_key: [248, 217],
  request_key: [249, 218],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  syslog: [103, 116],
  acct: [163, 89],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  swapon: [167, 224],
  swapoff: [168, 225],
  reboot: [169, 142],
  iopl: [172, null],
  ioperm: [173, null],
} as const satisfies Record<string, readonly [number, number | null]>;

export type SystemCall = keyof typeof NUMBERS;

/** The number of a call, or null where the architecture has none. */
export function numberOf(call: SystemCall, architecture: Architecture): number | null {
  return NUMBERS[call][architecture === 'x64' ? 0 : 1];
}

/** The number on this machine of a call that both architectures have. */
export function numberHere(call: SystemCall): number {
  return numberOf(call, process.arch as Architecture)!;
}
