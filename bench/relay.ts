/**
 * One stream through `Relay` beside the same stream without it, on loopback, sender, relay and receiver in
 * processes of their own. Run alone: `sh scripts/bun bench/relay.ts`.
 */
import { parseAddress } from '../src/names/address.ts';
import { dial } from '../src/net/dial.ts';
import { listenAt } from '../src/net/listen.ts';
import { Relay } from '../src/net/relay.ts';
import type { Socket, SocketHandler } from '../src/net/socket.ts';
import { median } from './statistics.ts';

const GIGABYTE = 2 ** 30;
const ROUNDS = 7;
const BLOCK = new Uint8Array(1 << 18);
const LOOPBACK = [parseAddress('127.0.0.1')!];

async function connect(port: number): Promise<Socket> {
  const dialled = await dial(LOOPBACK, port, { timeout: 5_000 });
  if (!dialled.ok) throw new Error(dialled.detail);
  return dialled.socket;
}

/** Sends a gigabyte to whoever connects, and FIN. */
function sender(): SocketHandler {
  let left = GIGABYTE;
  const handler: SocketHandler = {
    onData() {},
    onEnd: (socket) => socket.end(),
    onClose() {},
    onDrain(socket) {
      while (left > 0) {
        left -= BLOCK.length;
        if (!socket.write(BLOCK)) return;
      }
      socket.end();
    },
  };
  return handler;
}

/** Seconds until a gigabyte has come from that port. */
async function receive(port: number): Promise<number> {
  const done = Promise.withResolvers<void>();
  const started = performance.now();
  const socket = await connect(port);
  socket.handler = {
    onData() {},
    onDrain() {},
    onEnd: () => socket.end(),
    onClose: () => done.resolve(),
  };
  await done.promise;
  if (socket.bytesIn !== GIGABYTE) throw new Error(`${socket.bytesIn} octets came`);
  return (performance.now() - started) / 1_000;
}

function serve(role: string, origin: number): void {
  const listener = listenAt('127.0.0.1', 0, (socket) => {
    if (role === 'sender') {
      const handler = sender();
      queueMicrotask(() => handler.onDrain(socket));
      return handler;
    }
    const relay = new Relay(socket, () => {});
    void connect(origin).then((far) => relay.join(far));
    return relay;
  });
  process.send!({ port: listener.port });
  process.on('message', () => process.send!({ cpu: process.cpuUsage(), rss: process.memoryUsage.rss() }));
}

interface Message {
  port: number;
  cpu: NodeJS.CpuUsage;
  rss: number;
}

/** A process in that role; `ask` waits for its next message. */
function start(role: string, origin = 0) {
  let heard: (message: Message) => void;
  const ask = () => new Promise<Message>((resolve) => (heard = resolve));
  const first = ask();
  const child = Bun.spawn(
    [process.execPath, '--no-env-file', '--config=/dev/null', import.meta.path, role, `${origin}`],
    {
      ipc: (message) => heard(message as Message),
      stderr: 'inherit',
    },
  );
  const again = () => {
    child.send('?');
    return ask();
  };
  return { child, first, ask: again };
}

/** Gigabytes a second, direct and relayed, their ratio, and what the relay spends. */
export async function measure(): Promise<Record<string, number>> {
  const origin = start('sender');
  const originPort = (await origin.first).port;
  const relay = start('relay', originPort);
  const relayPort = (await relay.first).port;
  const direct: number[] = [];
  const relayed: number[] = [];
  await receive(relayPort);
  const before = (await relay.ask()).cpu;
  for (let round = 0; round < ROUNDS; round++) {
    direct.push(1 / (await receive(originPort)));
    relayed.push(1 / (await receive(relayPort)));
  }
  const { cpu, rss } = await relay.ask();
  origin.child.kill();
  relay.child.kill();
  const spent = (cpu.user - before.user + cpu.system - before.system) / 1e6;
  return {
    'relay GB/s direct': median(direct),
    'relay GB/s relayed': median(relayed),
    'relay share of direct': median(relayed.map((rate, i) => rate / direct[i]!)),
    'relay CPU seconds a GB': spent / ROUNDS,
    'relay resident MB': rss / 2 ** 20,
  };
}

const [role, port] = process.argv.slice(2);
if (import.meta.main && role !== undefined) serve(role, Number(port));
else if (import.meta.main) console.log(await measure());
