/** What /proc tells of processes: state, group, family (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs';
import { statusOf } from '../os/process.ts';

/** The state letter and the process group of a process (proc_pid_stat(5)), or null where there is none. */
export function stateOf(pid: number | 'self'): { state: string; group: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, , group] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: state!, group: Number(group) };
  } catch {
    return null;
  }
}

/** True also of one that is dead but not yet buried: by then the first process of a pid namespace is its last. */
export function hasEnded(pid: number): boolean {
  const now = stateOf(pid);
  return now === null || now.state === 'Z' || now.state === 'X';
}

/**
 * Whether nothing runs any more of the pid namespace that began with this process: all others are below it, since
 * orphans become its children. The kernel may still be busy burying it, which takes milliseconds.
 */
export function isAbandoned(first: number): boolean {
  if (hasEnded(first)) return true;
  try {
    return childrenOf(first).length === 0;
  } catch {
    return hasEnded(first); // it went meanwhile, or else nothing is known
  }
}

/** In how many pid namespaces a process has a number; 0 where it is gone. */
export function namespaceDepth(pid: number | 'self'): number {
  try {
    return /^NSpid:\s+(.+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]!.split(/\s+/).length;
  } catch {
    return 0;
  }
}

/** The first child of a process; undefined where it has none, or is gone. */
export function firstBelow(pid: number): number | undefined {
  try {
    return childrenOf(pid)[0];
  } catch {
    return undefined;
  }
}

/** Children of ours that are the first of a pid namespace: bubblewrap's, of which bubblewrap is gone. */
export function orphanedFences(): number[] {
  const ours = namespaceDepth('self');
  return childrenOf(process.pid).filter((child) => namespaceDepth(child) > ours && !hasEnded(child));
}

/** Children of a process, and theirs. */
export function processesBelow(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...processesBelow(child)]);
}

/** Throws where there is no such process. */
function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => childrenOfThread(pid, thread));
}

function childrenOfThread(pid: number, thread: string): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1')
      .split(' ')
      .filter(Boolean)
      .map(Number);
  } catch {
    // A kernel without CONFIG_PROC_CHILDREN: look at all.
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((each) => statusOf(each)?.parent === pid);
  }
}
