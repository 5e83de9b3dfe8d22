/**
 * Passing a service on to another process of the same user: the sockets it listens on, the lock, and the memory in
 * which limits are counted. Sockets are never closed in between, so no client is refused.
 *
 *   new → old   connects
 *   old → new   a frame that says what comes, then the descriptors, 16 at a time
 *   new → old   one octet, once it serves; the old one then drains. An end of file instead: it goes on as before
 */
import {
  closeDescriptor,
  isReadable,
  MOST_DESCRIPTORS,
  receiveDescriptors,
  receiveExactly,
  sendDescriptors,
} from '../os/descriptors.ts';
import { acceptUnix, connectUnix, peerOf } from '../os/endpoints.ts';
import type { ListenEntry } from '../policy/listener.ts';

const VERSION = 1;
/** Milliseconds for the other side to say the next thing. */
const PATIENCE = 5_000;
const LONGEST_FRAME = 1 << 20;
const DONE = 1;

/** One socket set of an entry, as many descriptors as the entry's kind has. */
export interface PassedEntry {
  /** Of JSON: octets of addresses are lists. */
  entry: ListenEntry;
  sets: number;
  descriptors: number;
}

export interface Passed {
  version: number;
  pid: number;
  generation: number;
  entries: PassedEntry[];
}

export interface Inheritance extends Passed {
  lock: number;
  memory: number;
  /** Of all entries, in their order. */
  fds: number[];
  /** To be called once the service is taken over; until then the old process goes on. */
  done(): void;
}

/** Null where nobody serves. Throws OsError, or Error for a process that is none of ours. */
export function takeOver(path: string): Inheritance | null {
  const channel = connectUnix(path, PATIENCE);
  if (channel === null) return null;
  const { uid } = peerOf(channel);
  if (uid !== process.getuid!() && uid !== 0) throw new Error('the service belongs to another user');
  const length = Buffer.from(receiveExactly(channel, 4)).readUInt32BE();
  if (length > LONGEST_FRAME) throw new Error('the running service speaks another language');
  const passed = JSON.parse(Buffer.from(receiveExactly(channel, length)).toString(), reviveBytes) as Passed;
  if (passed.version !== VERSION)
    throw new Error(
      `the running service passes itself on as version ${passed.version}, this program as ${VERSION}`,
    );
  const expected = 2 + passed.entries.reduce((sum, { sets, descriptors }) => sum + sets * descriptors, 0);
  const fds: number[] = [];
  while (fds.length < expected) {
    const received = receiveDescriptors(channel, 1);
    if (received.payload.length === 0) throw new Error('the running service broke off');
    fds.push(...received.fds);
  }
  const [lock, memory, ...rest] = fds as [number, number, ...number[]];
  return {
    ...passed,
    ...{ lock, memory, fds: rest },
    done() {
      sendDescriptors(channel, [], Buffer.of(DONE));
      closeDescriptor(channel);
    },
  };
}

/** One attempt by another process. */
export class Handover {
  private constructor(
    private readonly channel: number,
    readonly pid: number,
  ) {}

  /** Null where nobody has asked. What is passed on stays open here. */
  static accept(listener: number, passed: Passed, fds: readonly number[]): Handover | null {
    const channel = acceptUnix(listener, PATIENCE);
    if (channel === null) return null;
    const { pid, uid } = peerOf(channel);
    try {
      if (uid !== process.getuid!() && uid !== 0) throw new Error('another user');
      const body = Buffer.from(JSON.stringify(passed, plainBytes));
      const frame = Buffer.alloc(4 + body.length);
      frame.writeUInt32BE(body.length);
      frame.set(body, 4);
      sendDescriptors(channel, [], frame);
      for (let at = 0; at < fds.length; at += MOST_DESCRIPTORS)
        sendDescriptors(channel, fds.slice(at, at + MOST_DESCRIPTORS), Buffer.of(0));
      return new Handover(channel, pid);
    } catch {
      closeDescriptor(channel);
      return null;
    }
  }

  /** `waiting` until the other process says more. Not to be asked again after another answer. */
  outcome(): 'waiting' | 'done' | 'given up' {
    if (!isReadable(this.channel)) return 'waiting';
    try {
      return receiveExactly(this.channel, 1)[0] === DONE ? 'done' : 'given up';
    } catch {
      return 'given up';
    } finally {
      closeDescriptor(this.channel);
    }
  }
}

const BYTES = '\0bytes';

function plainBytes(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { [BYTES]: [...value] } : value;
}

function reviveBytes(_key: string, value: unknown): unknown {
  const bytes = (value as Record<string, unknown> | null)?.[BYTES];
  return Array.isArray(bytes) ? Uint8Array.from(bytes as number[]) : value;
}
