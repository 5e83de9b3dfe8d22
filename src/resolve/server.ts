/**
 * A given name server, asked by us (RFC 1035, with the care of RFC 5452): each question from a port of its own
 * with a random id and random letter case, so that a forged answer has to guess all three.
 */
import type { Address } from '../names/address.ts';
import { connectDatagram } from '../net/datagram.ts';
import { dial } from '../net/dial.ts';
import type { Socket, SocketHandler } from '../net/socket.ts';
import {
  type AddressType,
  type Asked,
  type ParsedAnswer,
  parseAnswer,
  writeQuery,
} from '../wire/dns/lookup.ts';
import { askBoth, type Found, foundIn, type Upstream } from './upstream.ts';

interface Server {
  address: Address;
  port: number;
}

/** Milliseconds for one attempt. */
const ATTEMPT = 2_000;
const ATTEMPTS = 2;
/** Answers to other questions that one attempt puts up with; more are an attack, and TCP cannot be guessed at. */
const STRANGERS_MAX = 20;
const PREFIX = 2;

export function createServerUpstream(server: Server, attempt = ATTEMPT): Upstream {
  return askBoth(async (name, type) => {
    let last: Found = { ok: false, detail: 'timeout' };
    for (let tries = 0; tries < ATTEMPTS; tries++) {
      const answer = await askByDatagram(server, name, type, attempt);
      if (answer === 'timeout') continue;
      if (answer === 'unreachable') last = { ok: false, detail: 'the name server is unreachable' };
      else if (answer.state !== 'truncated') return foundIn(answer);
      else return askByStream(server, name, type, attempt);
    }
    return last;
  });
}

type DatagramAnswer = ParsedAnswer | 'timeout' | 'unreachable';

async function askByDatagram(
  server: Server,
  name: string,
  type: AddressType,
  timeout: number,
): Promise<DatagramAnswer> {
  const asked: Asked = { id: randomId(), name: randomCase(name), type };
  const { promise, resolve } = Promise.withResolvers<DatagramAnswer>();
  const timer = setTimeout(() => resolve('timeout'), timeout);
  let strangers = 0;
  const onDatagram = (bytes: Uint8Array) => {
    const answer = parseAnswer(bytes, asked);
    if (answer.state !== 'stranger') resolve(answer);
    else if (++strangers > STRANGERS_MAX) resolve({ state: 'truncated' });
  };
  try {
    const peer = await connectDatagram(server.address.text, server.port, onDatagram, () =>
      resolve('unreachable'),
    );
    peer.send(writeQuery(asked));
    const answer = await promise;
    peer.close();
    return answer;
  } catch {
    return 'unreachable';
  } finally {
    clearTimeout(timer);
  }
}

async function askByStream(server: Server, name: string, type: AddressType, timeout: number): Promise<Found> {
  const deadline = performance.now() + timeout;
  const dialled = await dial([server.address], server.port, { timeout });
  if (!dialled.ok) return { ok: false, detail: `the name server: ${dialled.detail}` };
  const { socket } = dialled;
  const asked: Asked = { id: randomId(), name, type };
  const query = writeQuery(asked);
  const { promise, resolve } = Promise.withResolvers<Found>();
  const timer = setTimeout(() => resolve({ ok: false, detail: 'timeout' }), deadline - performance.now());
  socket.handler = new StreamAnswer((bytes) =>
    resolve(
      bytes === null ? { ok: false, detail: 'the name server hung up' } : foundIn(parseAnswer(bytes, asked)),
    ),
  );
  socket.write(Buffer.concat([Uint8Array.of(query.length >> 8, query.length & 255), query]));
  const found = await promise;
  clearTimeout(timer);
  socket.reset();
  return found;
}

/** Collects one length-prefixed message (RFC 1035 section 4.2.2), at most 64 KiB. */
class StreamAnswer implements SocketHandler {
  #bytes: Uint8Array = new Uint8Array(0);

  /** Null where the connection ends before the message does. */
  constructor(private readonly answered: (message: Uint8Array | null) => void) {}

  onData(_socket: Socket, bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (this.#bytes.length < PREFIX) return;
    const end = PREFIX + ((this.#bytes[0]! << 8) | this.#bytes[1]!);
    if (this.#bytes.length >= end) this.answered(this.#bytes.subarray(PREFIX, end));
  }

  onDrain(): void {}

  onEnd(): void {
    this.answered(null);
  }

  onClose(): void {
    this.answered(null);
  }
}

function randomId(): number {
  return crypto.getRandomValues(new Uint16Array(1))[0]!;
}

/** Each letter large or small by chance; a genuine answer repeats it, a forged one has to guess. */
function randomCase(name: string): string {
  const bits = crypto.getRandomValues(new Uint8Array(name.length));
  return Array.from(name, (character, i) => (bits[i]! & 1 ? character.toUpperCase() : character)).join('');
}
