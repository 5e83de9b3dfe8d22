/**
 * The sockets of a service. They belong to the supervisor: a worker that dies leaves its connections, not its sockets,
 * and whoever connects meanwhile waits for the next one. One socket for each worker and address, which spreads the
 * load; one for all at a UNIX path; and one for the first worker where the state behind it is one worker's alone.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { closeDescriptor } from '../os/descriptors.ts';
import {
  connectUnix,
  isTaken,
  openAnotherListener,
  openDnsSockets,
  openSharedListeners,
  openUnixListener,
  portOf,
} from '../os/endpoints.ts';
import { OsError } from '../os/libc.ts';
import { type ListenEntry, placeOf } from '../policy/listener.ts';
import type { Served } from './message.ts';
import type { PassedEntry } from './takeover.ts';

export interface Opened {
  id: number;
  entry: ListenEntry;
  /** One set for each worker that serves it; those of one worker are equal in number. */
  sets: number[][];
}

/** What one worker serves, with the descriptors in the same order. */
export type ServedSet = Served & { fds: readonly number[] };

/** Where it really listens, such as `tcp 127.0.0.1:8880`: a free port may have been asked for. */
export function keyOf(entry: ListenEntry): string {
  return `${entry.kind === 'dns' ? 'dns' : 'tcp'} ${placeOf(entry)}`;
}

/** `proxy 127.0.0.1:8880`. */
export const listedAs = (entry: ListenEntry) => `${entry.kind} ${placeOf(entry)}`;

/** Throws Failure. */
export function openSockets(id: number, entry: ListenEntry, workers: number): Opened {
  try {
    return { id, ...openEntry(entry, workers) };
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
    const place = placeOf(entry);
    if (isTaken(error))
      throw new Failure(
        'address-taken',
        `${place} is in use already.`,
        'Listen elsewhere, or end what listens there. To take over from a running gateway, use --takeover.',
      );
    throw new Failure(
      'gateway-broken',
      `${place} cannot be listened on: ${error.message}.`,
      adviceFor(entry, error),
    );
  }
}

function adviceFor({ where }: ListenEntry, { code }: OsError): string | undefined {
  if ('path' in where) {
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'Make its folder first.';
    return code === 'EACCES' ? 'Choose a folder in which this user may write.' : undefined;
  }
  if (code === 'EACCES') return 'Ports below 1024 need root or CAP_NET_BIND_SERVICE.';
  if (code === 'EADDRNOTAVAIL') return 'Name an address of this machine.';
  return undefined;
}

/** What is wrong with a place whose socket is open is its certificate. */
export function certificateAdvice(entry: ListenEntry | undefined): string | null {
  if (entry?.kind !== 'proxy' || entry.tls === null) return null;
  const { certificate, key } = entry.tls;
  return `In ${certificate} there has to be the chain, in ${key} its private key, both as PEM that this user may read.`;
}

function openEntry(entry: ListenEntry, workers: number): { entry: ListenEntry; sets: number[][] } {
  const { where } = entry;
  if ('path' in where) {
    makeRoom(where.path);
    const fd = openUnixListener(where.path);
    return { entry, sets: Array.from({ length: workers }, () => [fd]) };
  }
  const endpoint = { bytes: where.address.bytes, port: where.port };
  const at = (fd: number) => ({ ...entry, where: { ...where, port: portOf(fd) } }) as ListenEntry;
  if (entry.kind === 'dns') {
    const pair = openDnsSockets(endpoint);
    return { entry: at(pair[0]), sets: [pair] };
  }
  // Synthetic addresses are the memory of one process.
  const fds = openSharedListeners(endpoint, entry.kind === 'transparent' ? 1 : workers);
  return { entry: at(fds[0]!), sets: fds.map((fd) => [fd]) };
}

/** A socket that nobody listens on any more stays behind where a process was killed. Nothing else is taken away. */
function makeRoom(path: string): void {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isSocket())
    throw new Failure('address-taken', `${path} is there already and is no socket.`, 'Listen elsewhere.');
  const fd = connectUnix(path, 1_000);
  if (fd === null) {
    unlinkSync(path);
    return;
  }
  closeDescriptor(fd);
  throw new Failure('address-taken', `Somebody listens at ${path} already.`, 'End it, or listen elsewhere.');
}

/** Those of the process before. */
export function adoptSockets(
  { entries, fds }: { entries: readonly PassedEntry[]; fds: readonly number[] },
  nextId: () => number,
  workers: number,
): Opened[] {
  let at = 0;
  return entries.map(({ entry, sets, descriptors }) => {
    const opened: Opened = { id: nextId(), entry, sets: [] };
    for (let each = 0; each < sets; each++, at += descriptors)
      opened.sets.push(fds.slice(at, at + descriptors));
    widen(opened, workers);
    return opened;
  });
}

/** After a takeover by more workers than there were: those without a socket of their own get one. */
function widen(opened: Opened, workers: number): void {
  const { entry, sets } = opened;
  const { where } = entry;
  if (entry.kind !== 'proxy') return;
  while (sets.length < workers)
    sets.push(
      'path' in where ? sets[0]! : [openAnotherListener({ bytes: where.address.bytes, port: where.port })],
    );
}

/** What worker `index` of `workers` serves. After a takeover by fewer, each takes several sockets. */
export function servedBy(opened: Opened, index: number, workers: number): ServedSet | null {
  const { id, entry, sets } = opened;
  const isUnix = 'path' in entry.where;
  const mine = isUnix ? [sets[0]!] : sets.filter((_, at) => at % workers === index);
  if (mine.length === 0) return null;
  const fds = mine.flat();
  return { id, entry, count: fds.length, fds };
}

/** Which of the workers serve it. */
export function serversOf(opened: Opened, workers: number): number[] {
  return Array.from({ length: workers }, (_, index) => index).filter(
    (index) => servedBy(opened, index, workers) !== null,
  );
}

/** `kept`: another process goes on with them. */
export function closeSockets({ entry, sets }: Opened, kept: boolean): void {
  for (const fd of new Set(sets.flat())) closeDescriptor(fd);
  if (!kept && 'path' in entry.where) {
    try {
      unlinkSync(entry.where.path);
    } catch {
      // gone already
    }
  }
}
