import { afterEach, describe, expect, test } from 'bun:test';
import { type Address, parseAddress } from '../names/address.ts';
import { dial } from './dial.ts';
import { type Listener, listenAt } from './listen.ts';
import type { SocketHandler } from './socket.ts';

const SILENT: SocketHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
const listeners: Listener[] = [];
afterEach(() => {
  for (const listener of listeners.splice(0)) listener.close();
});

function listen(hostname: string, port = 0): number {
  const listener = listenAt(hostname, port, () => SILENT);
  listeners.push(listener);
  return listener.port;
}

const address = (text: string): Address => parseAddress(text)!;

describe('dial', () => {
  test('connects to the address that answers, and says which', async () => {
    const port = listen('127.0.0.2');
    const dialled = await dial([address('127.0.0.1'), address('127.0.0.2')], port, { timeout: 2_000 });
    expect(dialled.ok && dialled.address.text).toBe('127.0.0.2');
    if (dialled.ok) dialled.socket.reset();
  });

  test('tries the next address as soon as one fails, not after the delay', async () => {
    const port = listen('127.0.0.9');
    const addresses = [1, 2, 3, 4, 5, 9].map((last) => address(`127.0.0.${last}`));
    const before = performance.now();
    const dialled = await dial(addresses, port, { timeout: 2_000 });
    expect(dialled.ok).toBe(true);
    expect(performance.now() - before).toBeLessThan(200);
    if (dialled.ok) dialled.socket.reset();
  });

  test('takes the other family where the first does not answer', async () => {
    const port = listen('127.0.0.1');
    const dialled = await dial([address('::1'), address('127.0.0.1')], port, { timeout: 2_000 });
    expect(dialled.ok && dialled.address.text).toBe('127.0.0.1');
    if (dialled.ok) dialled.socket.reset();
  });

  test('says why nobody answered', async () => {
    const port = listen('127.0.0.1');
    listeners.pop()?.close();
    expect(await dial([address('127.0.0.1')], port, { timeout: 2_000 })).toEqual({
      ok: false,
      detail: 'ECONNREFUSED',
    });
    expect(await dial([], port, { timeout: 2_000 })).toEqual({ ok: false, detail: 'no address' });
  });

  test('starts the next attempt beside a slow one, and gives up in time', async () => {
    // A listener whose queue is full drops what comes: connecting to it hangs.
    const child = Bun.spawn(['python3', '-c', FULL_QUEUE], { stdout: 'pipe', stdin: 'pipe' });
    const { value } = await child.stdout.getReader().read();
    const port = Number(new TextDecoder().decode(value));
    try {
      const filling = await dial([address('127.0.0.1')], port, { timeout: 300 });
      const before = performance.now();
      const late = await dial([address('127.0.0.1')], port, { timeout: 300 });
      expect(late).toMatchObject({ ok: false, detail: 'timeout' });
      // The kernel goes on trying, and says when it has given up.
      expect(late.pending).toBeInstanceOf(Promise);
      expect(performance.now() - before).toBeGreaterThan(250);
      listen('127.0.0.2', port);
      const second = await dial([address('127.0.0.1'), address('127.0.0.2')], port, { timeout: 2_000 });
      expect(second.ok && second.address.text).toBe('127.0.0.2');
      for (const dialled of [filling, second]) if (dialled.ok) dialled.socket.reset();
    } finally {
      child.kill();
    }
  });
});

const FULL_QUEUE = `
import socket, sys
l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen(0)
c = socket.create_connection(l.getsockname())
print(l.getsockname()[1], flush=True); sys.stdin.read()
`;
