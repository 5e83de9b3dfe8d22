/** All connections of one gateway: their listeners, what they may use up, and judging them again. */
import type { Clock } from '../base/clock.ts';
import { OTHER_HOSTS } from '../events/distinct.ts';
import type { DecisionEvent, Recorder } from '../events/event.ts';
import { type Address, addressOf } from '../names/address.ts';
import { type Host, hostText, parseHost } from '../names/host.ts';
import { dial } from '../net/dial.ts';
import { type Listener, listenOn } from '../net/listen.ts';
import type { Socket } from '../net/socket.ts';
import { originalDestination } from '../os/sockets.ts';
import { decide } from '../policy/decide.ts';
import { limitsOf, type Policy } from '../policy/policy.ts';
import { type Arrival, peerOf, transparentArrival } from './arrival.ts';
import { Connection } from './connection.ts';
import type { Spare } from './forwardorigins.ts';
import { because } from './gates.ts';
import { createIdentity, type Identities } from './identity.ts';
import type { ProxyContext } from './proxylistener.ts';
import { type Refusal, refusalOf } from './refusal.ts';
import { type Counted, type Names, Session, UNIDENTIFIED } from './session.ts';
import { AllStanding } from './standing.ts';
import type { Destination, Resolver, Surroundings, Times } from './surroundings.ts';
import { Unnamed } from './unnamed.ts';
import { createUsage, type Usage } from './usage.ts';
import { Waiting } from './waiting.ts';

export interface GatewayOptions {
  /** The policy of the moment. A new one takes hold of live connections by `rejudge`. */
  policy: () => Policy;
  clock: Clock;
  recorder: Recorder;
  resolver: () => Resolver;
  killed: (agent: string) => boolean;
  /** The gateway's own addresses, which no rule reaches unless its `addresses` names them. */
  selfAddresses: readonly Address[];
  /** Told of each refusal as it happens; must not block. */
  onRefusal: (refusal: Refusal) => void;
  /** Told of a bug that cost one connection. Default: standard error. */
  onBug?: (bug: unknown) => void;
  /** Where an accepted connection was going. Default: what the kernel redirected. */
  destinationOf?: (socket: Socket) => Destination | null;
  /** How origins are reached. Default: the network. */
  dial?: typeof dial;
  /** Where they are not those of the policy. */
  times?: Partial<Times>;
  /** Clients that there are descriptors for, whatever they are at. Beyond that, newcomers are reset. Default: any number. */
  capacity?: number;
  /** What agents use up. Default: counted in this process alone. */
  usage?: Usage;
  /** Who clients of shared listeners are. Default: by the policy, without any tokens. */
  identities?: Identities;
}

/** One sandbox session, and the socket inside its fence that every connection is redirected to. */
export interface TransparentOptions extends Names {
  fd: number;
  /** Null: told by where a client comes from. */
  agent: string | null;
  /** Unique on this machine. */
  session: string;
  /** Whether a client may name the host of an address that stands for none, by its first bytes. Default: no. */
  namedByClient?: boolean;
}

/** A packet that the fence refused because no gateway could carry it. */
export interface RefusedPacket {
  agent: string;
  protocol: 'udp' | 'icmp' | 'other';
  destination: Address;
  port: number;
}

export interface Gateway {
  serveTransparent(options: TransparentOptions): Listener;
  /**
   * A listener of another kind, of which the gateway knows nothing and a fence loads nothing: `open` makes it with
   * what it is given.
   */
  serveBy(open: (context: ProxyContext) => Listener): Listener;
  /** Records a refused packet with the session it came from. */
  refusePacket(session: string, packet: RefusedPacket): void;
  /** Records that so many packets were refused of which nothing else is known. */
  refuseUnseenPackets(session: string, agent: string, count: number): void;
  /** Another process has refused that to agents of this session, who may ask here. */
  recall(session: string, refusals: Iterable<Counted>): void;
  /** To be called whenever the policy or a kill switch changed: what is no longer allowed is reset at once. */
  rejudge(): void;
  openConnections(): number;
  /**
   * Accepts nothing more. What is still on its way (a command may send, and end before it has arrived) has so many
   * milliseconds, by default a second, to come to its end; then it is reset.
   */
  close(within?: number): Promise<void>;
}

/** Milliseconds for a refused client to read why and close. */
const FAREWELL = 2_000;
/** Milliseconds that open connections have to end when the gateway closes. */
const LAST = 1_000;

export function createGateway(options: GatewayOptions): Gateway {
  const { policy, clock } = options;
  /** By id: whoever is or was in a session. */
  const sessions = new Map<string, { first: Session; byAgent: Map<string, Session> }>();
  const listeners: Listener[] = [];
  const onBug = options.onBug ?? ((bug) => console.error(bug));
  const standing = new AllStanding(clock, onBug);
  const waiting = new Waiting(standing, policy);

  const around: Surroundings = {
    destinationOf: redirectedFrom,
    dial,
    usage: createUsage({ policy, clock }),
    identities: createIdentity({ policy, tokens: () => new Map() }),
    ...options,
    onBug,
    times: timesOf(policy, options.times ?? {}),
  };

  const admit = (arrival: Arrival) => {
    const connection = new Connection(arrival, around, waiting.leave, waiting.gone);
    standing.add(connection);
    void connection.run();
  };
  const { capacity = Number.POSITIVE_INFINITY } = options;
  const spare: Spare = { count: 0, most: Math.floor(capacity / 4) };
  // Each client is counted with two descriptors.
  const isFull = () => standing.size + spare.count / 2 >= capacity && !waiting.makeRoom();
  const named = (unnamed: Unnamed, arrival: Arrival | null) => {
    waiting.delete(unnamed);
    if (arrival !== null) admit(arrival);
  };
  /** Whether it has no more than an address, by which no rule lets it through. */
  const isUnnamed = ({ aim, refused, session: { agent } }: Arrival): boolean => {
    if (refused !== null || aim?.host.kind !== 'address') return false;
    const at = { now: clock.now(), killed: options.killed(agent), grants: [] };
    const { verdict, wouldDeny } = decide(policy(), { agent, ...aim }, at);
    return verdict !== 'allow' || wouldDeny;
  };
  const sessionOf = (id: string, agent: string): Session => {
    let found = sessions.get(id);
    if (found === undefined) {
      found = { first: new Session(agent, id), byAgent: new Map() };
      sessions.set(id, found);
    }
    let session = found.byAgent.get(agent);
    if (session === undefined) {
      session = found.byAgent.size === 0 ? found.first : found.first.of(agent);
      found.byAgent.set(agent, session);
    }
    return session;
  };

  const recordPacket = (
    session: string,
    packet: Pick<DecisionEvent, 'time' | 'agent' | 'protocol' | 'host' | 'port' | 'count'>,
  ) => {
    const connection = sessions.get(session)?.first.nextConnection() ?? 0;
    const refused = { verdict: 'deny', reason: 'protocol', rule: null, wouldDeny: false } as const;
    options.recorder.decide({ kind: 'decision', session, connection, ...packet, ...refused }).catch(onBug);
  };

  return {
    serveTransparent({ fd, agent, session: id, namedByClient = false, ...names }) {
      sessionOf(id, agent ?? UNIDENTIFIED).nameBy(names);
      const accept = (near: Socket) => {
        const identity = agent === null ? around.identities.identify(callerAt(near)) : null;
        const known = identity === null ? agent! : identity.ok ? identity.agent : UNIDENTIFIED;
        const session = sessionOf(id, known);
        const arrival = transparentArrival(near, session, identity, around.destinationOf(near));
        if (isFull()) arrival.refused ??= because('limit-total');
        if (namedByClient && isUnnamed(arrival)) waiting.add(new Unnamed(arrival, around, named));
        else admit(arrival);
        return near.handler;
      };
      const listener = listenOn(fd, accept);
      listeners.push(listener);
      return listener;
    },
    serveBy(open) {
      const listener = open({ around, waiting, spare, isFull, admit, sessionOf });
      listeners.push(listener);
      return listener;
    },
    refusePacket(id, { agent, protocol, destination, port }) {
      const session = sessions.get(id)?.first;
      const name = session?.names.nameOf(destination) ?? null;
      const host: Host = (name === null ? null : parseHost(name)) ?? {
        kind: 'address',
        address: destination,
      };
      const time = options.clock.now();
      const refusal = refusalOf(time, { agent, host, port }, { reason: 'protocol', detail: protocol });
      session?.remember(refusal);
      options.onRefusal(refusal);
      recordPacket(id, { time, agent, protocol, host: hostText(host), port });
    },
    refuseUnseenPackets(id, agent, count) {
      recordPacket(id, {
        ...{ time: options.clock.now(), agent, count },
        ...{ protocol: 'other', host: OTHER_HOSTS, port: 0 },
      });
    },
    recall(id, refusals) {
      for (const { refusal, count } of refusals) sessionOf(id, refusal.agent).remember(refusal, count);
    },
    rejudge: () => standing.rejudge(policy()),
    openConnections: () => standing.size,
    async close(within = LAST) {
      for (const listener of listeners.splice(0)) listener.close();
      await standing.close(within);
      await options.recorder.flush();
    },
  };
}

/** Those of the policy of the moment, unless they are given. */
function timesOf(policy: () => Policy, given: Partial<Times>): Times {
  return {
    get head() {
      return given.head ?? limitsOf(policy()).headTimeout;
    },
    get connect() {
      return given.connect ?? limitsOf(policy()).handshakeTimeout;
    },
    get firstBytes() {
      return given.firstBytes ?? limitsOf(policy()).firstByteTimeout;
    },
    farewell: given.farewell ?? FAREWELL,
  };
}

const callerAt = (near: Socket) => ({ address: peerOf(near), listenerAgent: null, credentials: null });

function redirectedFrom(socket: Socket): Destination | null {
  const local = socket.localAddress;
  const family = local.includes(':') && !local.startsWith('::ffff:') ? 6 : 4;
  const found = originalDestination(socket.fd, family);
  return found === null ? null : { address: addressOf(found.address), port: found.port };
}
