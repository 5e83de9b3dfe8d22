/**
 * A gateway of two workers under everything that clients and origins do, for as long as one likes: what arrives is what
 * was sent, and when all is quiet again it holds no more descriptors and no more memory than before.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { linesOf } from '../rig/lines.ts';
import { freePort, openService, type Service } from '../rig/service.ts';
import { keepTalking } from './clients.ts';
import { openOrigins } from './origins.ts';

const WORKERS = 2;
/** After this long without an octet a connection ends: a client that is gone looks like one that only listens. */
const SHORT = '5s';
const HOST = 'origin.test';

interface Held {
  /** Descriptors and resident megabytes of all processes of the gateway together. */
  descriptors: number;
  megabytes: number;
}

/** The supervisor's and the workers'. */
async function heldBy(service: Service): Promise<Held> {
  const { pid, workers } = await service.condition();
  let descriptors = 0;
  let megabytes = 0;
  for (const each of [pid, ...workers.map((worker) => worker.pid)]) {
    descriptors += readdirSync(`/proc/${each}/fd`).length;
    megabytes += Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/status`, 'latin1'))![1]) / 1_024;
  }
  return { descriptors, megabytes: Math.round(megabytes) };
}

const policy = (ports: number[], more = '') => `version: 1
allow:
  - {host: ${HOST}, ports: [${ports.join(', ')}], addresses: [127.0.0.0/8]}
hosts: {${HOST}: 127.0.0.1}
agents:
  bot: {from: [127.0.0.0/8], limits: {connections: 20000, connections_per_second: 1000000}}
limits:
  connections: 20000
  connections_per_agent: 20000
  connections_per_second: 1000000
  connections_per_second_per_agent: 1000000
  head_timeout: 1s
  first_byte_timeout: 2s
${more}`;

async function start(ports: number[], idle: string): Promise<{ service: Service; port: number }> {
  const service = openService();
  const port = freePort();
  service.writePolicy(policy(ports, `  idle: ${idle}\n`));
  await service.serve('--listen', `127.0.0.1:${port}`, '--workers', `${WORKERS}`);
  return { service, port };
}

/** Resolves once no connection is open any more, with what is held then. */
async function quiet(service: Service): Promise<Held> {
  await service.until(({ workers }) => workers.every(({ connections }) => connections === 0));
  await Bun.sleep(1_000);
  return heldBy(service);
}

export interface Soaked {
  minutes: number;
  clients: number;
  /** What went wrong, at most 20 of it. */
  wrong: string[];
  /** When all was quiet: after a first while, and at the end. */
  before: Held;
  after: Held;
  restarts: number;
}

/** `report` hears what is held from time to time. */
export async function soak(minutes: number, report: (line: string) => void = () => {}): Promise<Soaked> {
  const origins = await openOrigins();
  const { service, port } = await start([origins.echoPort, origins.httpPort], SHORT);
  try {
    const place = { proxyPort: port, ...origins };
    const whole = minutes * 60_000;
    // Memory grows at first, whatever is done: buffers, caches, compiled code.
    const warming = keepTalking(place, 32);
    await Bun.sleep(Math.min(whole / 3, 120_000));
    await warming.stop();
    const before = await quiet(service);
    report(`warm: ${JSON.stringify(before)} after ${warming.tally.done} clients`);
    const talking = keepTalking(place, 32);
    const end = performance.now() + whole - Math.min(whole / 3, 120_000);
    while (performance.now() < end) {
      await Bun.sleep(Math.min(60_000, end - performance.now()));
      report(
        `${talking.tally.done} clients, ${talking.tally.wrong.length} wrong, ${JSON.stringify(await heldBy(service))}`,
      );
    }
    await talking.stop();
    const after = await quiet(service);
    const { workers } = await service.condition();
    return {
      minutes,
      clients: warming.tally.done + talking.tally.done,
      wrong: [...warming.tally.wrong, ...talking.tally.wrong],
      ...{ before, after },
      restarts: workers.reduce((sum, { restarts }) => sum + restarts, 0),
    };
  } finally {
    origins.close();
    await service.close();
  }
}

export interface IdleTunnels {
  wanted: number;
  opened: number;
  /** Of those, how many still carried a word after the wait. */
  answered: number;
  /** Tunnels of each worker. */
  perWorker: number[];
  kilobytesEach: number;
  descriptorsAfter: number;
  descriptorsBefore: number;
}

/** Opens them over both workers, each process with no more than `descriptors`, and says a word in each at the end. */
export async function holdIdleTunnels(wanted: number, seconds: number): Promise<IdleTunnels> {
  const program = join(import.meta.dir, 'tunnels.ts');
  const spawn = (...words: string[]) =>
    Bun.spawn([process.execPath, program, ...words], { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' });
  const origin = spawn('origin');
  const echoPort = Number(await linesOf(origin.stdout).until(''));
  const { service, port } = await start([echoPort], '1h');
  const clients: ReturnType<typeof spawn>[] = [];
  try {
    // What a gateway opens once, it opens for the first few.
    const first = spawn('client', `${port}`, `${echoPort}`, '20');
    await linesOf(first.stdout).until('20');
    await Bun.sleep(1_000);
    first.kill('SIGKILL');
    const before = await quiet(service);
    const client = spawn('client', `${port}`, `${echoPort}`, `${wanted}`);
    clients.push(client);
    const lines = linesOf(client.stdout);
    const opened = Number(await lines.until(''));
    const { workers } = await service.until(
      (now) => now.workers.reduce((sum, { connections }) => sum + connections, 0) >= opened,
    );
    const held = await heldBy(service);
    await Bun.sleep(seconds * 1_000);
    client.stdin.write('say it\n');
    client.stdin.flush();
    const answered = Number(await lines.until(''));
    client.kill('SIGKILL');
    await client.exited;
    const after = await quiet(service);
    return {
      ...{ wanted, opened, answered },
      perWorker: workers.map(({ connections }) => connections),
      kilobytesEach: Math.round(((held.megabytes - before.megabytes) * 10_240) / opened) / 10,
      descriptorsBefore: before.descriptors,
      descriptorsAfter: after.descriptors,
    };
  } finally {
    for (const client of clients) client.kill('SIGKILL');
    origin.kill('SIGKILL');
    await service.close();
  }
}
