/**
 * Who holds a lease: a process, by what tells it from any other that ever had its number. Processes of another pid
 * namespace (a container that shares the store) cannot be looked at; their leases have to run out.
 */
import { readFileSync, readlinkSync } from 'node:fs';

export interface Owners {
  /** Of this process and this use of it. */
  own: string;
  /** True where that process certainly no longer lives. */
  isGone(owner: string): boolean;
}

export function createOwners(): Owners {
  const place = placeOf();
  const own = `${place}/${process.pid}/${startOf(process.pid) ?? '?'}/${crypto.randomUUID()}`;
  return {
    own,
    isGone(owner) {
      const [boot, space, pid, start] = owner.split('/');
      if (`${boot}/${space}` !== place || pid === undefined) return false;
      return startOf(Number(pid)) !== start;
    },
  };
}

/** This boot of this machine, and the pid namespace. */
function placeOf(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${boot}/${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '?/?';
  }
}

/** When it was started, in ticks since boot (proc(5), field 22 of stat); null where there is no such process. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is a name in parentheses, which may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
