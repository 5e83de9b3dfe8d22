/** What the cases are run against: this gateway, or something else that stands in for it. */
import { systemClock } from '../../src/base/clock.ts';
import { digestOf } from '../../src/config/tokens.ts';
import { serveStub } from '../../src/dns/serve.ts';
import { createStub } from '../../src/dns/stub.ts';
import { createSyntheticAddresses } from '../../src/dns/synthetic.ts';
import type { DecisionEvent, Event, Recorder } from '../../src/events/event.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import { createIdentity } from '../../src/gateway/identity.ts';
import { serveProxy } from '../../src/gateway/proxylistener.ts';
import { parseAddress } from '../../src/names/address.ts';
import { parseHost } from '../../src/names/host.ts';
import type { Socket } from '../../src/net/socket.ts';
import { openDatagram, openListener } from '../../src/os/sockets.ts';
import { compile } from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { readDocument } from '../../src/policy/document.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { Reason } from '../../src/policy/reason.ts';
import { createResolver } from '../../src/resolve/resolver.ts';
import type { Verdict } from './case.ts';

/** Where a client of the transparent listener was going: a literal address, and the name it stands for, if any. */
export interface Destination {
  address: string;
  port: number;
  name: string | null;
  /** Where no name stands behind the address: the one that the client says, which is then looked up. */
  namedByClient?: boolean;
}

/** This gateway, and what only it can be told. */
export interface Gateway extends Subject {
  kill(on: boolean): void;
  /** Decisions throw from now on, as a bug would. */
  breakDecisions(on: boolean): void;
  openConnections(): number;
  /** What was refused since this was last asked, and why. */
  refusals(): readonly Reason[];
}

export interface Subject {
  /** Takes a policy's text, with more limits; false where it does not load. */
  load(text: string, limits?: Record<string, string>): boolean;
  /** The matcher alone. */
  judge(host: string, port: number): Verdict;
  /** HTTP and SOCKS5; clients are known by where they come from, or say who they are. */
  proxyPort: number;
  /** The same, for clients from elsewhere: they have to say who they are. */
  closedProxyPort: number;
  /** Connections to this port are going there. */
  transparentPort(destination: Destination): number;
  dnsPort: number;
  /** Milliseconds without a word after which a client gives up; longer than any time limit of the subject. */
  patience: number;
  close(): Promise<void>;
}

const PROXY_PORT = 8880;
const CLOSED_PROXY_PORT = 8881;
const DNS_PORT = 5300;
const FIRST_TRANSPARENT_PORT = 15_001;
/** Milliseconds; as short as a test wants them. */
const TIMES = { head: 400, connect: 1_000, firstBytes: 400, farewell: 300 };
/** Who clients are, and that there may be many at once. */
const restOf = (limits: Record<string, string>) => {
  const all = { connections_per_second: 1_000_000, connections_per_second_per_agent: 1_000_000, ...limits };
  return `agents: { bot: { from: [127.0.0.1] } }\nlimits: ${JSON.stringify(all).replace(/[":]/g, (each) => (each === ':' ? ': ' : ''))}\n`;
};
/** The one who has a token, as the cases know it. */
const [AGENT, TOKEN] = ['srt', 'token'];

class Memory implements Recorder {
  readonly writable = true;
  events: Event[] = [];
  async decide(event: DecisionEvent) {
    this.events.push(event);
    return true;
  }
  note(event: Event) {
    this.events.push(event);
  }
  async flush() {}
  async close() {}
}

function policyOf(text: string): Policy | null {
  const result = readDocument(text, 'corpus.yaml');
  return result.ok ? compile([result.document]) : null;
}

/** `upstream`: the name server that is asked for what a rule has allowed. */
export async function createSubject(upstream = '127.0.0.1'): Promise<Gateway> {
  const recorder = new Memory();
  let policy = policyOf('version: 1\n')!;
  let killed = false;
  let broken = false;
  const resolver = createResolver({ upstream, hosts: new Map() });
  const destinations = new Map<number, Destination>();
  const gateway = createGateway({
    policy: () => policy,
    clock: systemClock,
    recorder,
    resolver: () => resolver,
    killed() {
      if (broken) throw new Error('a bug, as asked for');
      return killed;
    },
    onBug() {},
    selfAddresses: [],
    onRefusal() {},
    destinationOf({ localPort }: Socket) {
      const found = destinations.get(localPort);
      return found === undefined ? null : { address: parseAddress(found.address)!, port: found.port };
    },
    times: TIMES,
    identities: createIdentity({
      policy: () => policy,
      tokens: () => new Map([[AGENT, { digest: digestOf(TOKEN), created: 0 }]]),
    }),
  });
  const synthetic = createSyntheticAddresses({ clock: systemClock });
  const stub = createStub({ synthetic, onQuestion() {}, onExhausted() {} });
  const dns = await serveStub(stub, {
    dnsUdp: [openDatagram('loopback4', DNS_PORT)],
    dnsTcp: [openListener('loopback4', DNS_PORT)],
  });
  for (const port of [PROXY_PORT, CLOSED_PROXY_PORT])
    serveProxy(gateway, { where: { hostname: '127.0.0.1', port }, agent: null, session: 'proxy' });
  const ports = new Map<string, number>();
  return {
    load(text, limits = {}) {
      const next = policyOf(text.includes('\nallow:') ? text + restOf(limits) : text);
      if (next !== null) policy = next;
      gateway.rejudge();
      return next !== null;
    },
    judge(text, port) {
      const host = parseHost(text);
      if (host === null) return 'error';
      return decide(policy, { agent: 'bot', host, port }, { now: Date.now(), killed: false, grants: [] })
        .verdict === 'allow'
        ? 'allow'
        : 'deny';
    },
    proxyPort: PROXY_PORT,
    closedProxyPort: CLOSED_PROXY_PORT,
    transparentPort(destination) {
      const key = JSON.stringify(destination);
      const known = ports.get(key);
      if (known !== undefined) return known;
      const port = FIRST_TRANSPARENT_PORT + ports.size;
      ports.set(key, port);
      destinations.set(port, destination);
      gateway.serveTransparent({
        fd: openListener('loopback4', port),
        agent: 'bot',
        namedByClient: destination.namedByClient === true,
        session: `transparent-${port}`,
        nameOf: ({ text }) => (text === destination.address ? destination.name : null),
        retain() {},
        release() {},
      });
      return port;
    },
    kill(on) {
      killed = on;
      gateway.rejudge();
    },
    breakDecisions(on) {
      broken = on;
    },
    openConnections: gateway.openConnections,
    refusals: () =>
      recorder.events.splice(0).flatMap((event) => {
        if (event.kind === 'decision') return event.verdict === 'deny' ? event.reason : [];
        return event.kind === 'refusal' ? event.reason : [];
      }),
    dnsPort: DNS_PORT,
    patience: 1_600,
    async close() {
      dns.close();
      await gateway.close();
    },
  };
}
