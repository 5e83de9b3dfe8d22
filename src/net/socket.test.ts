import { afterEach, describe, expect, test } from 'bun:test';
import { parseAddress } from '../names/address.ts';
import { dial } from './dial.ts';
import { type Listener, listenAt } from './listen.ts';
import type { Ending, Socket, SocketHandler } from './socket.ts';

/** Remembers everything that happened to one socket. */
class Witness implements SocketHandler {
  received = 0;
  log: string[] = [];
  ended = Promise.withResolvers<void>();
  closed = Promise.withResolvers<Ending>();
  got = Promise.withResolvers<void>();
  drained = Promise.withResolvers<void>();
  wanted = 1;
  onData(_socket: Socket, bytes: Uint8Array) {
    this.received += bytes.length;
    if (this.log.at(-1) !== 'data') this.log.push('data');
    if (this.received >= this.wanted) this.got.resolve();
  }
  onDrain() {
    this.log.push('drain');
    this.drained.resolve();
  }
  onEnd() {
    this.log.push('end');
    this.ended.resolve();
  }
  onClose(_socket: Socket, ending: Ending) {
    this.log.push(ending);
    this.closed.resolve(ending);
  }
}

let listener: Listener;
afterEach(() => listener.close());

async function pair() {
  const here = new Witness();
  const there = new Witness();
  const accepted = Promise.withResolvers<Socket>();
  listener = listenAt('127.0.0.1', 0, (socket) => {
    accepted.resolve(socket);
    return there;
  });
  const dialled = await dial([parseAddress('127.0.0.1')!], listener.port, { timeout: 2_000 });
  if (!dialled.ok) throw new Error(dialled.detail);
  dialled.socket.handler = here;
  return { near: dialled.socket, far: await accepted.promise, here, there };
}

const MEGABYTE = 1024 * 1024;

describe('a socket', () => {
  test('keeps what the kernel does not take, and says when all of it has left', async () => {
    const { near, far, there, here } = await pair();
    far.pause();
    expect(near.write(new Uint8Array(32 * MEGABYTE))).toBe(false);
    expect(near.unsentBytes).toBeGreaterThan(0);
    there.wanted = 32 * MEGABYTE;
    far.resume();
    await here.drained.promise;
    expect(near.unsentBytes).toBe(0);
    await there.got.promise;
    expect(near.bytesOut).toBe(32 * MEGABYTE);
    expect(far.bytesIn).toBe(32 * MEGABYTE);
  });

  test('sends FIN only after what it keeps, even if it was ended before', async () => {
    const { near, far, there } = await pair();
    far.pause();
    near.write(new Uint8Array(32 * MEGABYTE));
    near.end();
    far.resume();
    await there.ended.promise;
    expect(there.received).toBe(32 * MEGABYTE);
    expect(there.log).toEqual(['data', 'end']);
  });

  test('keeps its own direction open after the peer ended', async () => {
    const { near, far, here, there } = await pair();
    far.end();
    await here.ended.promise;
    there.wanted = 5;
    near.write(Buffer.from('hello'));
    await there.got.promise;
    near.end();
    expect(await here.closed.promise).toBe('closed');
    expect(await there.closed.promise).toBe('closed');
    expect(here.log).toEqual(['end', 'closed']);
    expect(there.log).toEqual(['data', 'end', 'closed']);
  });

  test('tells a reset from an end, also while it is paused', async () => {
    const { near, far, here, there } = await pair();
    near.pause();
    far.write(new Uint8Array(MEGABYTE));
    far.reset();
    expect(await here.closed.promise).toBe('reset');
    expect(here.log).toEqual(['reset']);
    expect(there.log).toEqual(['reset']);
  });

  test('tells a reset when the write meets it first', async () => {
    const { near, far, here } = await pair();
    far.reset();
    near.write(Buffer.from('x'));
    near.write(Buffer.from('y'));
    expect(await here.closed.promise).toBe('reset');
    expect(here.log).toEqual(['reset']);
  });

  test('delivers nothing while paused, and data before end when resumed', async () => {
    const { near, far, here } = await pair();
    near.pause();
    here.wanted = MEGABYTE;
    far.write(new Uint8Array(MEGABYTE));
    far.end();
    await Bun.sleep(20); // nothing to wait for: nothing may come
    expect(here.log).toEqual([]);
    near.resume();
    await here.ended.promise;
    expect(here.received).toBe(MEGABYTE);
    expect(here.log).toEqual(['data', 'end']);
  });

  test('pausing after each chunk loses and reorders nothing', async () => {
    const { near, far, here } = await pair();
    const sum = new Bun.CryptoHasher('sha256');
    let received = 0;
    near.handler = {
      ...here,
      onData(socket, bytes) {
        sum.update(bytes);
        received += bytes.length;
        socket.pause();
        setImmediate(() => socket.resume());
      },
      onEnd: () => here.ended.resolve(),
      onDrain() {},
      onClose() {},
    };
    const data = crypto.getRandomValues(new Uint8Array(65_536));
    const expected = new Bun.CryptoHasher('sha256');
    for (let i = 0; i < 64; i++) {
      far.write(data.slice());
      expected.update(data);
    }
    far.end();
    await here.ended.promise;
    expect(received).toBe(64 * 65_536);
    expect(sum.digest('hex')).toBe(expected.digest('hex'));
  });

  test('whose handler throws is reset, and only that one', async () => {
    const { near, far, here, there } = await pair();
    near.handler = {
      onData() {
        throw new Error('a bug');
      },
      onDrain() {},
      onEnd() {},
      onClose: (socket, ending) => here.onClose(socket, ending),
    };
    far.write(Buffer.from('x'));
    expect(await here.closed.promise).toBe('reset');
    expect(await there.closed.promise).toBe('reset');
  });
});
