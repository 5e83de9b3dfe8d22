/**
 * What the outside sees for itself before a command may start. What the inside says of itself counts for nothing
 * here, and what cannot be seen counts as broken.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { closeDescriptor } from '../os/descriptors.ts';
import { type ProcessStatus, statusOf } from '../os/process.ts';
import { networkNamespaceOf, openDatagram } from '../os/sockets.ts';
import { processesBelow } from './processes.ts';

const FILTER = 2;

/** `inside`: the process that waits for `go`, by our numbering. Throws Failure. */
export function checkProcesses(inside: number): void {
  const status = statusOf(inside) ?? broken('the process inside is gone');
  checkStatus(inside, status);
  if (status.capBnd !== 0n) broken('the process inside could regain a capability');
  checkFirst(status.parent);
  const others = processesBelow(status.parent).filter((pid) => pid !== inside);
  if (others.length > 0) broken(`process ${others[0]} is inside and not ours`);
}

/** bwrap's own first process stays inside and can do nothing either; nothing is ever executed by it. */
function checkFirst(pid: number): void {
  checkStatus(pid, statusOf(pid) ?? broken('the first process inside is gone'));
  const numbers = /^NSpid:\s+(.+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]?.split(/\s+/);
  if (numbers === undefined || numbers.length < 2 || numbers.at(-1) !== '1')
    broken('the process inside is in no pid namespace of its own');
}

function checkStatus(pid: number, status: ProcessStatus): void {
  const power = powerLeft(status);
  if (power !== null) broken(`process ${pid} inside ${power}`);
}

/** What the process could do that it should not, as the end of a sentence; null: nothing. */
export function powerLeft(status: Pick<ProcessStatus, Power>): string | null {
  if ((status.capEff | status.capPrm | status.capInh | status.capAmb) !== 0n) return 'has a capability';
  if (!status.noNewPrivs) return 'may gain privileges';
  return status.seccomp === FILTER ? null : 'has no system call filter';
}

type Power = 'capEff' | 'capPrm' | 'capInh' | 'capAmb' | 'noNewPrivs' | 'seccomp';

/** Each socket that came from inside belongs to a network namespace that is not ours. Throws Failure. */
export function checkSockets(sockets: readonly number[], inside: number): void {
  const own = openDatagram('loopback4', 0);
  const ours = networkNamespaceOf(own);
  closeDescriptor(own);
  if (ours === null) {
    // Before Linux 5.14 a socket does not tell. Its maker does.
    if (namespaceOf(inside) === namespaceOf('self')) broken('the process inside is in our own network');
    return;
  }
  for (const socket of sockets) {
    const theirs = networkNamespaceOf(socket);
    if (theirs === null || theirs === ours) broken('a socket from inside belongs to our own network');
  }
}

function namespaceOf(pid: number | 'self'): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return broken(`the network namespace of process ${pid} cannot be read`);
  }
}

export function broken(what: string): never {
  throw new Failure(
    'sandbox-broken',
    `The fence did not hold when it was checked: ${what}. The command was not started.`,
    'This is a defect or an attack. Run: clawctl egress doctor',
  );
}
