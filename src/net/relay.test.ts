import { afterEach, describe, expect, test } from 'bun:test';
import { parseAddress } from '../names/address.ts';
import { dial } from './dial.ts';
import { type Listener, listenAt } from './listen.ts';
import { Relay } from './relay.ts';
import type { Ending, Socket, SocketHandler } from './socket.ts';

const LOOPBACK = [parseAddress('127.0.0.1')!];
const MEGABYTE = 1024 * 1024;
const listeners: Listener[] = [];
afterEach(() => {
  for (const listener of listeners.splice(0)) listener.close();
});

function listen(accept: (socket: Socket) => SocketHandler): number {
  const listener = listenAt('127.0.0.1', 0, accept);
  listeners.push(listener);
  return listener.port;
}

async function connect(port: number): Promise<Socket> {
  const dialled = await dial(LOOPBACK, port, { timeout: 2_000 });
  if (!dialled.ok) throw new Error(dialled.detail);
  return dialled.socket;
}

/** Sends `size` random bytes and FIN, reads everything, stalls now and then; resolves with both checksums. */
class Party implements SocketHandler {
  sent = new Bun.CryptoHasher('sha256');
  received = new Bun.CryptoHasher('sha256');
  bytes = 0;
  ended = Promise.withResolvers<void>();
  closed = Promise.withResolvers<Ending>();
  #left: number;
  constructor(
    size: number,
    readonly stalls: boolean,
  ) {
    this.#left = size;
  }
  start(socket: Socket) {
    socket.handler = this;
    this.onDrain(socket);
  }
  onData(socket: Socket, bytes: Uint8Array) {
    this.bytes += bytes.length;
    this.received.update(bytes);
    if (this.stalls && Math.random() < 0.1) {
      socket.pause();
      setTimeout(() => socket.resume(), Math.random() * 4);
    }
  }
  onDrain(socket: Socket) {
    while (this.#left > 0) {
      const piece = crypto.getRandomValues(new Uint8Array(Math.min(this.#left, 65_536)));
      this.#left -= piece.length;
      this.sent.update(piece);
      if (!socket.write(piece)) return;
    }
    socket.end();
  }
  onEnd() {
    this.ended.resolve();
  }
  onClose(_socket: Socket, ending: Ending) {
    this.closed.resolve(ending);
  }
}

/** A relay in front of `origin`; resolves `finished` with how it came to its end. */
function relayTo(origin: number) {
  const finished = Promise.withResolvers<Ending>();
  const relays: Relay[] = [];
  const port = listen((near) => {
    const relay = new Relay(near, finished.resolve);
    relays.push(relay);
    void connect(origin).then((far) => relay.join(far));
    return relay;
  });
  return { port, finished: finished.promise, relays };
}

/** MEGABYTES=1024 for the long run. */
const SIZE = Number(process.env.MEGABYTES ?? 64) * MEGABYTE;

describe('a relay', () => {
  test(
    'carries both directions at once, whole and in order, past readers that stall',
    async () => {
      const origin = new Party(SIZE, true);
      const client = new Party(SIZE, true);
      const relay = relayTo(
        listen((socket) => {
          origin.start(socket);
          return origin;
        }),
      );
      client.start(await connect(relay.port));
      expect(await client.closed.promise).toBe('closed');
      expect(await origin.closed.promise).toBe('closed');
      expect(await relay.finished).toBe('closed');
      expect(client.bytes).toBe(SIZE);
      expect(origin.bytes).toBe(SIZE);
      expect(client.received.digest('hex')).toBe(origin.sent.digest('hex'));
      expect(origin.received.digest('hex')).toBe(client.sent.digest('hex'));
    },
    SIZE / 1_000 + 20_000,
  );

  test('passes FIN on and lets the other direction go on', async () => {
    const origin = new Party(3 * MEGABYTE, false);
    const relay = relayTo(listen(() => ({ ...answerAfterEnd(origin) })));
    const client = new Party(2 * MEGABYTE, false);
    client.start(await connect(relay.port));
    await client.ended.promise;
    expect(origin.bytes).toBe(2 * MEGABYTE);
    expect(client.bytes).toBe(3 * MEGABYTE);
    expect(await relay.finished).toBe('closed');
  });

  test('holds little while a reader stands still', async () => {
    const origin = new Party(256 * MEGABYTE, false);
    const relay = relayTo(
      listen((socket) => {
        origin.start(socket);
        return origin;
      }),
    );
    const client = await connect(relay.port);
    client.pause();
    let before = -1;
    while (relay.relays[0]?.near.unsentBytes !== before || before === 0) {
      before = relay.relays[0]?.near.unsentBytes ?? 0;
      await Bun.sleep(50);
    }
    expect(before).toBeLessThanOrEqual(MEGABYTE / 2);
    client.reset();
    expect(await origin.closed.promise).toBe('reset');
    expect(await relay.finished).toBe('reset');
  });

  test('passes a reset on in both directions, also to a side that is stalled', async () => {
    for (const whoBreaks of ['client', 'origin'] as const) {
      const accepted = Promise.withResolvers<Socket>();
      const origin = new Party(0, false);
      const relay = relayTo(
        listen((socket) => {
          accepted.resolve(socket);
          return origin;
        }),
      );
      const client = await connect(relay.port);
      const near = new Party(0, false);
      client.handler = near;
      const far = await accepted.promise;
      const [breaker, victim] = whoBreaks === 'client' ? [client, far] : [far, client];
      victim.pause();
      breaker.write(new Uint8Array(16 * MEGABYTE));
      breaker.reset();
      expect([whoBreaks, await (whoBreaks === 'client' ? origin : near).closed.promise]).toEqual([
        whoBreaks,
        'reset',
      ]);
      expect(await relay.finished).toBe('reset');
      expect(relay.relays[0]?.brokenBy === relay.relays[0]?.near).toBe(whoBreaks === 'client');
    }
  });

  test('keeps what was passed before the far side was there', async () => {
    const origin = new Party(0, false);
    const originPort = listen(() => origin);
    const finished = Promise.withResolvers<Ending>();
    let relay: Relay | undefined;
    const port = listen((near) => {
      relay = new Relay(near, finished.resolve);
      return relay;
    });
    const client = new Party(1_000, false);
    client.start(await connect(port));
    while (relay === undefined || relay.near.bytesIn < 1_000) await Bun.sleep(1);
    relay.join(await connect(originPort));
    await origin.ended.promise;
    expect(origin.bytes).toBe(1_000);
  });
});

/** Reads to the end and only then answers. */
function answerAfterEnd(party: Party): SocketHandler {
  return {
    onData: (socket, bytes) => party.onData(socket, bytes),
    onDrain: (socket) => party.onDrain(socket),
    onEnd: (socket) => {
      party.onEnd();
      party.onDrain(socket);
    },
    onClose: (socket, ending) => party.onClose(socket, ending),
  };
}
