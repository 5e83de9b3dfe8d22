/** What the kernel says of a process, and its place among the terminal's jobs. */
import { readProc } from './files.ts';
import { check, libc } from './libc.ts';

/** Of the process's first thread. Sets are bit masks; see capabilities(7). */
export interface ProcessStatus {
  capEff: bigint;
  capPrm: bigint;
  capInh: bigint;
  capBnd: bigint;
  capAmb: bigint;
  noNewPrivs: boolean;
  /** 0 none, 2 filter. */
  seccomp: number;
  /** Bit n - 1 is signal n. */
  ignoredSignals: bigint;
  uid: number;
  parent: number;
}

/** Null where there is no such process. A line that is missing is an Error: unknown is not harmless. */
export function statusOf(pid: number | 'self'): ProcessStatus | null {
  const text = readProc(`/proc/${pid}/status`);
  if (text === null) return null;
  const lines = new Map(text.split('\n').map((each) => each.split(':\t', 2) as [string, string]));
  /** The first of its words. */
  const line = (name: string) => {
    const found = lines.get(name)?.trimStart().split('\t', 1)[0];
    if (found === undefined) throw new Error(`/proc/${pid}/status has no ${name}`);
    return found;
  };
  const mask = (name: string) => BigInt(`0x${line(name)}`);
  return {
    capEff: mask('CapEff'),
    capPrm: mask('CapPrm'),
    capInh: mask('CapInh'),
    capBnd: mask('CapBnd'),
    capAmb: mask('CapAmb'),
    noNewPrivs: line('NoNewPrivs') === '1',
    seccomp: Number(line('Seccomp')),
    ignoredSignals: mask('SigIgn'),
    uid: Number(line('Uid')),
    parent: Number(line('PPid')),
  };
}

/** The numbers of the signals in a mask. */
export function signalsIn(mask: bigint): number[] {
  return Array.from({ length: 64 }, (_, bit) => bit + 1).filter(
    (signal) => (mask >> BigInt(signal - 1)) & 1n,
  );
}

const RLIMIT_NOFILE = 7;

/** Sets the soft limit of open files, of this process. At most the hard one. */
export function limitOpenFiles(soft: number): void {
  const limits = new BigUint64Array(2);
  check('prlimit', libc.prlimit(0, RLIMIT_NOFILE, null, limits), 'open files');
  if (BigInt(soft) < limits[1]!) limits[0] = BigInt(soft);
  check('prlimit', libc.prlimit(0, RLIMIT_NOFILE, limits, null), 'open files');
}

const TIOCGPGRP = 0x540f;
const TIOCSPGRP = 0x5410;
const SIG_BLOCK = 0;
const SIG_SETMASK = 2;
const SIGTTOU = 22;

/** The process group in the foreground of a terminal, or null where the descriptor is not our terminal. */
export function foregroundGroup(terminal: number): number | null {
  const group = new Int32Array(1);
  return libc.ioctl(terminal, TIOCGPGRP, group) === 0 ? group[0]! : null;
}

/**
 * Puts a process group of this session into the foreground. From the background the kernel would stop us for that
 * (SIGTTOU), unless this thread blocks the signal meanwhile. Returns false where it is not our terminal.
 */
export function setForegroundGroup(terminal: number, group: number): boolean {
  const blocked = Buffer.alloc(128); // sigset_t
  const before = Buffer.alloc(128);
  blocked.writeUInt32LE(2 ** (SIGTTOU - 1), 0);
  libc.sigprocmask(SIG_BLOCK, blocked, before);
  const done = libc.ioctl(terminal, TIOCSPGRP, new Int32Array([group])) === 0;
  libc.sigprocmask(SIG_SETMASK, before, null);
  return done;
}

/** Leads a process group of its own, in the foreground of the terminal if that is ours. */
export function makeForeground(terminal: number | null): void {
  check('setpgid', libc.setpgid(0, 0));
  if (terminal !== null) setForegroundGroup(terminal, libc.getpid());
}

/** The soft limit of open files, of this process. */
export function openFilesLimit(): number {
  const limits = new BigUint64Array(2);
  check('prlimit', libc.prlimit(0, RLIMIT_NOFILE, null, limits), 'open files');
  return Number(limits[0]);
}

const PR_SET_PDEATHSIG = 1;
const PR_SET_CHILD_SUBREAPER = 36;
const SIGKILL = 9;

/** Ends at once when the process that started this one has ended, however that was. */
export function endWithParent(): void {
  check('prctl', libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
}

/** From now on whatever below this process loses its parent becomes this process's child, not that of init. */
export function adoptOrphans(): void {
  check('prctl', libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

/** What a process of ours is doing: `T` is stopped, `R` runs or waits for a processor; see proc_pid_stat(5). */
export interface Activity {
  state: string;
  /** Milliseconds of processor time that it has used. */
  used: number;
}

/** Null where there is no such process. */
export function activityOf(pid: number): Activity | null {
  const text = readProc(`/proc/${pid}/stat`);
  if (text === null) return null;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const MILLISECONDS_A_TICK = 10; // USER_HZ is 100 wherever Linux runs
  return { state: fields[0]!, used: (Number(fields[11]) + Number(fields[12])) * MILLISECONDS_A_TICK };
}
