/** Large transfers through a relay, which the kernel carries; `sharers` tells that it does. */
import { afterEach, expect, test } from 'bun:test';
import { parseAddress } from '../names/address.ts';
import { dial } from './dial.ts';
import { type Listener, listenAt } from './listen.ts';
import { Relay } from './relay.ts';
import type { Ending, Socket, SocketHandler } from './socket.ts';

const LOOPBACK = [parseAddress('127.0.0.1')!];
const MEGABYTE = 1 << 20;
const BLOCK = crypto.getRandomValues(new Uint8Array(65_536));
const listeners: Listener[] = [];
afterEach(() => {
  for (const listener of listeners.splice(0)) listener.close();
});

/** Sends `megabytes` that differ from one another, and FIN if it is told to; counts and hashes what comes. */
class Peer implements SocketHandler {
  readonly sent = new Bun.CryptoHasher('sha256');
  readonly received = new Bun.CryptoHasher('sha256');
  bytes = 0;
  socket: Socket | null = null;
  readonly ended = Promise.withResolvers<void>();
  readonly closed = Promise.withResolvers<Ending>();
  #left: number;
  constructor(
    megabytes: number,
    readonly ends = true,
  ) {
    this.#left = megabytes * MEGABYTE;
  }
  start(socket: Socket): this {
    this.socket = socket;
    socket.handler = this;
    this.onDrain(socket);
    return this;
  }
  onData(_socket: Socket, bytes: Uint8Array) {
    this.bytes += bytes.length;
    this.received.update(bytes);
  }
  onDrain(socket: Socket) {
    while (this.#left > 0) {
      const piece = BLOCK.slice();
      new DataView(piece.buffer).setUint32(0, this.#left);
      this.#left -= piece.length;
      this.sent.update(piece);
      if (!socket.write(piece)) return;
    }
    if (this.ends) socket.end();
  }
  onEnd(socket: Socket) {
    this.ended.resolve();
    if (!this.ends) socket.end();
  }
  onClose(_socket: Socket, ending: Ending) {
    this.closed.resolve(ending);
  }
}

/** `client` and `origin`, connected through a relay. */
async function connect(client: Peer, origin: Peer) {
  const finished = Promise.withResolvers<Ending>();
  const relayed = Promise.withResolvers<Relay>();
  const listen = (accept: (socket: Socket) => SocketHandler) => {
    const listener = listenAt('127.0.0.1', 0, accept);
    listeners.push(listener);
    return listener.port;
  };
  const dialled = async (port: number) => {
    const result = await dial(LOOPBACK, port, { timeout: 2_000 });
    if (!result.ok) throw new Error(result.detail);
    return result.socket;
  };
  const originPort = listen((socket) => origin.start(socket));
  const port = listen((near) => {
    const relay = new Relay(near, finished.resolve);
    void dialled(originPort).then((far) => {
      relay.join(far);
      relayed.resolve(relay);
    });
    return relay;
  });
  client.start(await dialled(port));
  return { relay: await relayed.promise, finished: finished.promise };
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error('it did not happen');
    await Bun.sleep(1);
  }
}

test('both ways at once, whole, in order, and counted to the octet', async () => {
  const client = new Peer(96);
  const origin = new Peer(160);
  const { relay, finished } = await connect(client, origin);
  await until(() => relay.near.sharers === 2);
  expect(await finished).toBe('closed');
  await Promise.all([client.closed.promise, origin.closed.promise]);
  expect(client.received.digest('hex')).toBe(origin.sent.digest('hex'));
  expect(origin.received.digest('hex')).toBe(client.sent.digest('hex'));
  const { near, far } = relay;
  expect([near.bytesIn, far!.bytesOut, far!.bytesIn, near.bytesOut]).toEqual(
    [96, 96, 160, 160].map((megabytes) => megabytes * MEGABYTE),
  );
});

test('a download goes on to its end after the client has ended', async () => {
  const client = new Peer(0, false);
  const origin = new Peer(256);
  const { relay, finished } = await connect(client, origin);
  await until(() => relay.near.sharers === 1);
  client.socket!.end();
  await origin.ended.promise;
  expect(relay.near.sharers).toBe(0);
  await client.ended.promise;
  expect(client.received.digest('hex')).toBe(origin.sent.digest('hex'));
  expect(await finished).toBe('closed');
});

test('a reader that stands still holds it up, and has all of it in the end', async () => {
  const client = new Peer(0, false);
  const origin = new Peer(64);
  const { relay } = await connect(client, origin);
  await until(() => relay.near.sharers === 1);
  client.socket!.pause();
  let before = -1;
  for (; before !== relay.near.bytesOut; await Bun.sleep(450)) before = relay.near.bytesOut;
  expect(before).toBeLessThan(64 * MEGABYTE);
  client.socket!.resume();
  await client.ended.promise;
  expect(client.received.digest('hex')).toBe(origin.sent.digest('hex'));
});

test('silence gives it back, and what comes later arrives', async () => {
  const client = new Peer(0, false);
  const origin = new Peer(16, false);
  const { relay } = await connect(client, origin);
  await until(() => relay.near.sharers === 1);
  await until(() => relay.near.sharers === 0);
  origin.socket!.write(BLOCK);
  await until(() => client.bytes === 16 * MEGABYTE + BLOCK.length);
});

test('a little is not waited for to become much', async () => {
  const client = new Peer(0, false);
  const origin = new Peer(16, false);
  const { relay } = await connect(client, origin);
  await until(() => client.bytes === 16 * MEGABYTE);
  origin.socket!.write(BLOCK.subarray(0, 1_000));
  await until(() => client.bytes === 16 * MEGABYTE + 1_000);
  expect(relay.near.sharers).toBe(1); // not because silence gave it back
});

test.each(['flowing', 'held up'])('a reset of ours breaks it off at once, %s', async (state) => {
  const client = new Peer(0, false);
  const origin = new Peer(4_096);
  const { relay, finished } = await connect(client, origin);
  await until(() => relay.near.sharers === 1);
  if (state === 'held up') {
    client.socket!.pause();
    await Bun.sleep(100);
  }
  relay.reset();
  const started = performance.now();
  expect(await origin.closed.promise).toBe('reset');
  if (state === 'held up') client.socket!.resume();
  expect(await client.closed.promise).toBe('reset');
  expect(performance.now() - started).toBeLessThan(500);
  expect(await finished).toBe('reset');
});

test.each(['client', 'origin'])('a reset by the %s is one for the other', async (who) => {
  const client = new Peer(0, false);
  const origin = new Peer(4_096);
  const { relay, finished } = await connect(client, origin);
  await until(() => relay.near.sharers === 1);
  const [breaker, other] = who === 'client' ? [client, origin] : [origin, client];
  breaker.socket!.reset();
  expect(await other.closed.promise).toBe('reset');
  expect(await finished).toBe('reset');
  expect(relay.brokenBy === relay.near).toBe(who === 'client');
});

test('what must be metered from now on is not carried any more', async () => {
  const client = new Peer(1_024);
  const origin = new Peer(0, false);
  const { relay } = await connect(client, origin);
  await until(() => relay.near.sharers === 1);
  let metered = 0;
  relay.meter = (octets) => {
    metered += octets;
    return true;
  };
  await origin.ended.promise;
  expect(metered).toBeGreaterThan(0);
  expect(origin.received.digest('hex')).toBe(client.sent.digest('hex'));
});

test('more of them at once than can be carried', async () => {
  const pairs = Array.from({ length: 40 }, () => [new Peer(0, false), new Peer(24)] as const);
  await Promise.all(pairs.map(([client, origin]) => connect(client, origin)));
  for (const [client, origin] of pairs) {
    await client.ended.promise;
    expect(client.received.digest('hex')).toBe(origin.sent.digest('hex'));
  }
}, 20_000);

test('a program that ends does not wait for it', async () => {
  const script = `
    import { listenAt } from ${JSON.stringify(`${import.meta.dir}/listen.ts`)};
    import { carry } from ${JSON.stringify(`${import.meta.dir}/carrier.ts`)};
    const sockets = [];
    const handler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
    const listener = listenAt('127.0.0.1', 0, (socket) => (sockets.push(socket), handler));
    const open = () => Bun.connect({ hostname: '127.0.0.1', port: listener.port, socket: { data() {} } });
    await open();
    await open();
    while (sockets.length < 2) await Bun.sleep(1);
    for (const socket of sockets) socket.pause();
    carry(sockets[0].fd, sockets[1].fd, () => {}, () => {});
    await Bun.sleep(50);
    console.log('leaving');
    process.exit(7);`;
  const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe' });
  await child.stdout.getReader().read();
  const left = performance.now();
  expect(await child.exited).toBe(7);
  expect(performance.now() - left).toBeLessThan(1_000);
});
