/** A gateway between loopback clients and loopback origins, with a recorder and a resolver that remember. */
import { afterEach } from 'bun:test';
import { systemClock } from '../base/clock.ts';
import type { DecisionEvent, Event, Recorder } from '../events/event.ts';
import { type Address, parseAddress } from '../names/address.ts';
import { dial } from '../net/dial.ts';
import { type Listener, listenAt } from '../net/listen.ts';
import type { Ending, Socket, SocketHandler } from '../net/socket.ts';
import { openListener } from '../os/sockets.ts';
import { compile } from '../policy/compile.ts';
import { readDocument } from '../policy/document.ts';
import type { Policy } from '../policy/policy.ts';
import { createGateway, type GatewayOptions } from './gateway.ts';
import type { Refusal } from './refusal.ts';
import type { Destination } from './surroundings.ts';

export const address = (text: string): Address => parseAddress(text)!;

export function policyOf(text: string): Policy {
  const result = readDocument(`version: 1\n${text}`, 'egress.yaml');
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return compile([result.document]);
}

/** Lets `name` on those ports lead to loopback. */
export const allow = (name: string, ports = '80, 443', more = '') =>
  `allow:\n  - { host: "${name}", ports: [${ports}], addresses: [127.0.0.0/8]${more} }\n`;

/** One end of a connection in a test: keeps what came, and awaits. */
export class End implements SocketHandler {
  text = '';
  ending: Ending | null = null;
  ended = false;
  #waiting: (() => void)[] = [];
  socket!: Socket;
  onData(_socket: Socket, bytes: Uint8Array) {
    this.text += Buffer.from(bytes).toString('latin1');
    this.#wake();
  }
  onDrain() {}
  onEnd() {
    this.ended = true;
    this.#wake();
  }
  onClose(_socket: Socket, ending: Ending) {
    this.ending = ending;
    this.#wake();
  }
  #wake() {
    for (const wake of this.#waiting.splice(0)) wake();
  }
  send(text: string | Uint8Array) {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }
  /** Resolves once it holds; the test's own time limit is the bound. */
  async until(holds: (end: End) => boolean): Promise<this> {
    while (!holds(this)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this;
  }
  untilText = (text: string) => this.until((end) => end.text.includes(text));
  untilClosed = () => this.until((end) => end.ending !== null);
  untilEnded = () => this.until((end) => end.ended || end.ending !== null);
}

export class Memory implements Recorder {
  events: Event[] = [];
  writable = true;
  /** Decisions wait for this before they are answered. */
  hold: Promise<void> = Promise.resolve();
  async decide(event: DecisionEvent) {
    await this.hold;
    if (this.writable) this.events.push(event);
    return this.writable;
  }
  note(event: Event) {
    this.events.push(event);
  }
  async flush() {}
  async close() {}
  /** One line an event: what a test compares. */
  get lines(): string[] {
    return this.events.map((event) => {
      if (event.kind === 'decision')
        return `${event.protocol} ${event.host}:${event.port} ${event.verdict} ${event.reason}`;
      if (event.kind === 'refusal') return `refusal ${event.host}:${event.port} ${event.reason}`;
      if (event.kind === 'close') return `close ${event.host}:${event.port} ${event.outcome} ${event.reason}`;
      return event.kind;
    });
  }
}

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  // Clients and origins first: a gateway waits for what is still open.
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** An origin on 127.0.0.1; each connection is an `End`. */
export function origin(speak: (end: End) => void = () => {}) {
  const ends: End[] = [];
  const waiting: ((end: End) => void)[] = [];
  const listener = listenAt('127.0.0.1', 0, (socket) => {
    const end = new End();
    end.socket = socket;
    ends.push(end);
    queueMicrotask(() => speak(end));
    waiting.shift()?.(end);
    return end;
  });
  cleanups.push(() => listener.close());
  /** The nth connection, now or later. */
  const nth = async (n: number): Promise<End> => {
    while (ends.length <= n) await new Promise<End>((resolve) => waiting.push(resolve));
    return ends[n]!;
  };
  return { port: listener.port, ends, nth };
}

interface Setting {
  policy: string;
  /** Names to addresses; others do not resolve. */
  names?: Record<string, string[]>;
  /** Where every port leads instead. */
  originPort?: number;
  agent?: string;
  options?: Partial<GatewayOptions>;
}

export function gateway(setting: Setting) {
  const recorder = new Memory();
  const refusals: Refusal[] = [];
  const asked: string[] = [];
  const destinations: Destination[] = [];
  const byAddress = new Map<string, string>();
  const state = { policy: policyOf(setting.policy), killed: false };
  const retained: string[] = [];
  const bugs: unknown[] = [];
  const made = createGateway({
    policy: () => state.policy,
    clock: systemClock,
    recorder,
    resolver: () => ({
      async resolve(name) {
        asked.push(name);
        const found = setting.names?.[name] ?? (name.endsWith('.test') ? ['127.0.0.1'] : null);
        return found === null
          ? { ok: false, detail: 'NXDOMAIN' }
          : { ok: true, addresses: found.map(address) };
      },
    }),
    killed: () => state.killed,
    selfAddresses: [],
    onRefusal: (refusal) => refusals.push(refusal),
    onBug: (bug) => bugs.push(bug),
    destinationOf: () => destinations.shift() ?? null,
    dial: (addresses, port, options) => dial(addresses, setting.originPort ?? port, options),
    ...setting.options,
  });
  const probe: Listener = listenAt('127.0.0.1', 0, () => new End());
  const { port } = probe;
  probe.close();
  made.serveTransparent({
    fd: openListener('loopback4', port),
    agent: setting.agent ?? 'bot',
    session: 's1',
    nameOf: ({ text }) => byAddress.get(text) ?? null,
    retain: ({ text }) => retained.push(text),
    release: ({ text }) => retained.splice(retained.indexOf(text), 1),
  });
  cleanups.push(() => made.close());

  const opened = (end: End) => cleanups.push(() => end.socket.reset());
  /** A client that asked for this host and port. */
  async function client(host: string, toPort: number): Promise<End> {
    let where = parseAddress(host);
    if (where === null) {
      where = address(`198.18.0.${byAddress.size + 1}`);
      byAddress.set(where.text, host);
    }
    destinations.push({ address: where, port: toPort });
    const dialled = await dial([address('127.0.0.1')], port, { timeout: 2_000 });
    if (!dialled.ok) throw new Error(dialled.detail);
    const end = new End();
    end.socket = dialled.socket;
    end.socket.handler = end;
    opened(end);
    return end;
  }
  /** Resolves once that line was recorded. */
  async function recorded(line: string): Promise<void> {
    while (!recorder.lines.includes(line)) await Bun.sleep(1);
  }
  return { gateway: made, recorder, recorded, refusals, asked, state, retained, client, opened, bugs };
}

export const get = (host: string, path = '/', more = '') =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;
