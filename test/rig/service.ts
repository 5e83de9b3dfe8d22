/** A gateway as a service, on loopback alone: its folders, an origin behind it, and clients that connect through it. */
import { mkdirSync, mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Subprocess } from 'bun';
import { removeFolder } from './folder.ts';
import { type Lines, linesOf } from './lines.ts';

const CLAWCTL = process.env.CLAWCTL_TEST_BINARY ?? resolve(import.meta.dir, '../../clawctl');

export interface Condition {
  ready: boolean;
  state: string;
  pid: number;
  problems: string[];
  killed: string[];
  listeners: string[];
  workers: { pid: number; serving: boolean; connections: number; restarts: number }[];
}

interface Done {
  code: number;
  out: string;
  err: string;
}

export type Process = Subprocess<'ignore', 'pipe', 'pipe'> & { lines: Lines };

export interface Service {
  folder: string;
  environment: Record<string, string>;
  /** The port of the origin, which greets, and echoes. */
  origin: number;
  /** Octets that the origin has received, in all. */
  received: () => number;
  /** Connections that the origin has had, in all. */
  visits: () => number;
  writePolicy(text: string): void;
  /** Starts one; resolves when it serves. */
  serve(...words: string[]): Promise<Process>;
  /** The same where every process may open so many files. */
  serveWithin(files: number, ...words: string[]): Promise<Process>;
  /** The same by way of another program, which becomes the service. */
  serveBy(by: readonly string[], ...words: string[]): Promise<Process>;
  clawctl(...words: string[]): Promise<Done>;
  clawctlBy(by: readonly string[], ...words: string[]): Promise<Done>;
  /** What a command says once it says this: what is recorded can be looked up a moment later. */
  saying(text: string, ...words: string[]): Promise<string>;
  condition(): Promise<Condition>;
  /** Waits until the condition is as wanted. */
  until(wanted: (condition: Condition) => boolean): Promise<Condition>;
  close(): Promise<void>;
}

/** A free port of loopback, as far as anybody can know. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

export function openService(): Service {
  const folder = mkdtempSync(join(tmpdir(), 'clawctl-serve-'));
  for (const name of ['config/clawctl', 'state', 'runtime', 'home'])
    mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
  const environment = {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    HOME: join(folder, 'home'),
    XDG_CONFIG_HOME: join(folder, 'config'),
    XDG_STATE_HOME: join(folder, 'state'),
    XDG_RUNTIME_DIR: join(folder, 'runtime'),
  };
  let octets = 0;
  let visits = 0;
  const origin = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    allowHalfOpen: true,
    socket: {
      open(socket) {
        visits++;
        socket.write('hello\n');
      },
      data(socket, bytes) {
        octets += bytes.length;
        socket.write(bytes);
      },
      end: (socket) => void socket.end(),
    },
  });
  const begun: Process[] = [];
  const spawn = (words: readonly string[], by: readonly string[] = []) =>
    Bun.spawn([...by, CLAWCTL, 'egress', ...words], {
      env: environment,
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const begin = async (child: ReturnType<typeof spawn>): Promise<Process> => {
    const service: Process = Object.assign(child, { lines: linesOf(child.stderr) });
    begun.push(service);
    await service.lines.until('clawctl: serving');
    return service;
  };
  const finish = async (child: ReturnType<typeof spawn>): Promise<Done> => {
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { out, err, code };
  };
  const condition = async (): Promise<Condition> => {
    const socket = join(folder, 'runtime/clawctl/serve-default/admin.sock');
    const headers = { connection: 'close' }; // the next question may be another process's
    return (await fetch('http://admin/readyz', { unix: socket, headers })).json() as Promise<Condition>;
  };
  return {
    ...{ folder, environment, condition },
    origin: origin.port,
    received: () => octets,
    visits: () => visits,
    writePolicy(text) {
      const file = join(folder, 'config/clawctl/egress.yaml');
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    },
    serve: (...words) => begin(spawn(['serve', ...words])),
    serveBy: (by, ...words) => begin(spawn(['serve', ...words], by)),
    serveWithin: (files, ...words) =>
      begin(spawn(['serve', ...words], ['sh', '-c', `ulimit -n ${files}; exec "$@"`, 'sh'])),
    clawctl: (...words) => finish(spawn(words)),
    clawctlBy: (by, ...words) => finish(spawn(words, by)),
    async saying(text, ...words) {
      for (const end = performance.now() + 10_000; ; await Bun.sleep(10)) {
        const { out } = await finish(spawn(words));
        if (out.includes(text)) return out;
        if (performance.now() > end) throw new Error(`${words.join(' ')} says: ${out}`);
      }
    },
    async until(wanted) {
      for (;;) {
        const now = await condition().catch(() => null);
        if (now !== null && wanted(now)) return now;
        await Bun.sleep(10);
      }
    },
    async close() {
      for (const child of begun) {
        child.kill('SIGKILL');
        await child.exited;
      }
      origin.stop(true);
      removeFolder(folder);
    },
  };
}

/** A tunnel by CONNECT. */
export interface Tunnel {
  /** `200`, or the status and reason of the refusal; `gone` where the proxy said nothing. */
  answer: string;
  /** Resolves with the next octets as text, null at the end. */
  read(): Promise<string | null>;
  write(text: string): void;
  /** How it ended. */
  ended: Promise<'closed' | 'reset'>;
  close(): void;
}

export async function connectBy(
  proxy: { port: number } | { unix: string },
  target: string,
  more = '',
): Promise<Tunnel> {
  const waiting: ((text: string | null) => void)[] = [];
  const arrived: (string | null)[] = [];
  const put = (text: string | null) => {
    const taker = waiting.shift();
    if (taker === undefined) arrived.push(text);
    else taker(text);
  };
  const ended = Promise.withResolvers<'closed' | 'reset'>();
  const socket = await Bun.connect({
    ...('unix' in proxy ? proxy : { hostname: '127.0.0.1', port: proxy.port }),
    socket: {
      data: (_socket, bytes) => put(bytes.toString()),
      end: () => put(null),
      close(_socket, error) {
        put(null);
        ended.resolve(error == null ? 'closed' : 'reset');
      },
      error() {},
    },
  } as Bun.TCPSocketConnectOptions<undefined>);
  const read = () => {
    if (arrived.length > 0) return Promise.resolve(arrived.shift()!);
    return new Promise<string | null>((resolve) => waiting.push(resolve));
  };
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${more}\r\n`);
  let head = '';
  while (!head.includes('\r\n\r\n')) {
    const text = await read();
    if (text === null) break;
    head += text;
  }
  const end = head.indexOf('\r\n\r\n') + 4;
  if (end < head.length && head !== '') arrived.unshift(head.slice(end));
  const status = /^HTTP\/1\.1 (\d+)/.exec(head)?.[1];
  const reason = /^x-clawctl-reason: *(\S+)/im.exec(head)?.[1];
  return {
    answer: status === undefined ? 'gone' : reason === undefined ? status : `${status} ${reason}`,
    read,
    write: (text) => void socket.write(text),
    ended: ended.promise,
    close: () => socket.end(),
  };
}
