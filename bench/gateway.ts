/**
 * Short connections through the gateway beside the same connections without it, on loopback: client, gateway and
 * origin in processes of their own. The recorder answers at once, so this is the data path alone.
 * Run alone: `sh scripts/bun bench/gateway.ts`.
 */
import { systemClock } from '../src/base/clock.ts';
import { createGateway } from '../src/gateway/gateway.ts';
import { parseAddress } from '../src/names/address.ts';
import { dial } from '../src/net/dial.ts';
import { listenAt } from '../src/net/listen.ts';
import type { Socket } from '../src/net/socket.ts';
import { openListener } from '../src/os/sockets.ts';
import { compile } from '../src/policy/compile.ts';
import { readDocument } from '../src/policy/document.ts';
import { median } from './statistics.ts';

const LOOPBACK = parseAddress('127.0.0.1')!;
const SYNTHETIC = parseAddress('198.18.0.1')!;
const HOST = 'origin.test';
const QUESTION = Buffer.from(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
const PARALLEL = 16;
const SECONDS = 2;
const ROUNDS = 5;

function serveOrigin(): number {
  return listenAt('127.0.0.1', 0, () => ({
    onData: (socket) => void socket.write(ANSWER),
    onDrain() {},
    onEnd: (socket) => socket.end(),
    onClose() {},
  })).port;
}

/** `asked`: the port that clients are taken to have asked for; its gate is what is measured. */
function serveGateway(origin: number, asked: number): number {
  const text = `version: 1\nallow: [{ host: ${HOST}, ports: [${asked}], addresses: [127.0.0.0/8] }]\nlimits: { connections_per_second: 1000000, connections_per_second_per_agent: 1000000 }\n`;
  const result = readDocument(text, 'bench.yaml');
  if (!result.ok) throw new Error(result.problems[0]?.message);
  const policy = compile([result.document]);
  const probe = listenAt('127.0.0.1', 0, (socket) => socket.handler);
  const { port } = probe;
  probe.close();
  createGateway({
    policy: () => policy,
    clock: systemClock,
    recorder: { decide: async () => true, note() {}, writable: true, async flush() {}, async close() {} },
    resolver: () => ({ resolve: async () => ({ ok: true, addresses: [LOOPBACK] }) }),
    killed: () => false,
    selfAddresses: [],
    onRefusal() {},
    destinationOf: () => ({ address: SYNTHETIC, port: asked }),
    dial: (addresses, _port, options) => dial(addresses, origin, options),
  }).serveTransparent({
    fd: openListener('loopback4', port),
    agent: 'bench',
    session: 'bench',
    nameOf: () => HOST,
    retain() {},
    release() {},
  });
  return port;
}

interface Message {
  port: number;
  cpu: NodeJS.CpuUsage;
}

function start(...role: (string | number)[]) {
  let heard: (message: Message) => void;
  const next = () => new Promise<Message>((resolve) => (heard = resolve));
  const first = next();
  const child = Bun.spawn(
    [process.execPath, '--no-env-file', '--config=/dev/null', import.meta.path, ...role.map(String)],
    {
      ipc: (message) => heard(message as Message),
      stderr: 'inherit',
    },
  );
  const ask = () => {
    child.send('?');
    return next();
  };
  return { child, first, ask };
}

/** One connection, one request, one answer, FIN from both sides. */
async function request(port: number): Promise<void> {
  const dialled = await dial([LOOPBACK], port, { timeout: 5_000 });
  if (!dialled.ok) throw new Error(dialled.detail);
  const done = Promise.withResolvers<void>();
  dialled.socket.handler = {
    onData: (socket: Socket) => socket.end(),
    onDrain() {},
    onEnd: (socket: Socket) => socket.end(),
    onClose: () => done.resolve(),
  };
  dialled.socket.write(QUESTION);
  await done.promise;
}

/** Connections in so many seconds. */
async function load(port: number): Promise<number> {
  const end = performance.now() + SECONDS * 1_000;
  let count = 0;
  const worker = async () => {
    for (; performance.now() < end; count++) await request(port);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return count;
}

/** Connections a second, direct and through the gateway, and the gateway's CPU time for one. */
export async function measure(): Promise<Record<string, number>> {
  const results: Record<string, number> = {};
  const origin = start('origin');
  const originPort = (await origin.first).port;
  for (const asked of [80, 5432]) {
    const gateway = start('gateway', originPort, asked);
    const { port } = await gateway.first;
    await load(port);
    const direct: number[] = [];
    const through: number[] = [];
    const spent: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      direct.push((await load(originPort)) / SECONDS);
      const before = (await gateway.ask()).cpu;
      const count = await load(port);
      const { cpu } = await gateway.ask();
      through.push(count / SECONDS);
      spent.push((cpu.user + cpu.system - before.user - before.system) / count);
    }
    gateway.child.kill();
    const on = asked === 80 ? 'HTTP' : 'tunnels';
    results[`gateway connections/s direct, ${on}`] = median(direct);
    results[`gateway connections/s through, ${on}`] = median(through);
    results[`gateway share of direct, ${on}`] = median(through.map((rate, i) => rate / direct[i]!));
    results[`gateway CPU microseconds a connection, ${on}`] = median(spent);
  }
  origin.child.kill();
  return results;
}

const [role, originPort, asked] = process.argv.slice(2);
if (import.meta.main && role !== undefined) {
  const port = role === 'origin' ? serveOrigin() : serveGateway(Number(originPort), Number(asked));
  process.send!({ port });
  process.on('message', () => process.send!({ cpu: process.cpuUsage() }));
} else if (import.meta.main) console.log(await measure());
