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
import type { Policy } from '../policy/policy.ts';
import { Connection } from './connection.ts';
import { type Refusal, refusalOf } from './refusal.ts';
import { type Names, Session } from './session.ts';
import type { Destination, Resolver, Surroundings, Times } from './surroundings.ts';

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
  times?: Partial<Times>;
}

/** One sandbox session, and the socket inside its fence that every connection is redirected to. */
export interface TransparentOptions extends Names {
  fd: number;
  agent: string;
  /** Unique on this machine. */
  session: string;
}

/** A packet that the fence refused because no gateway could carry it. */
export interface RefusedPacket {
  agent: string;
  protocol: 'udp' | 'icmp' | 'other';
  destination: Address;
  port: number;
}

export interface Gateway {
  serveTransparent(options: TransparentOptions): void;
  /** Records a refused packet with the session it came from. */
  refusePacket(session: string, packet: RefusedPacket): void;
  /** Records that so many packets were refused of which nothing else is known. */
  refuseUnseenPackets(session: string, agent: string, count: number): void;
  /** To be called whenever the policy or a kill switch changed: what is no longer allowed is reset at once. */
  rejudge(): void;
  openConnections(): number;
  /**
   * Accepts nothing more. What is still on its way (a command may send, and end before it has arrived) has a
   * second to come to its end; then it is reset.
   */
  close(): Promise<void>;
}

const TIMES: Times = { connect: 10_000, firstBytes: 10_000, farewell: 2_000 };
/** Milliseconds between looks at time limits. */
const CHECK = 500;
/** Milliseconds that open connections have to end when the gateway closes. */
const LAST = 1_000;

export function createGateway(options: GatewayOptions): Gateway {
  const connections = new Set<Connection>();
  const openByAgent = new Map<string, number>();
  const sessions = new Map<string, Session>();
  const listeners: Listener[] = [];
  const onBug = options.onBug ?? ((bug) => console.error(bug));
  let checking: Timer | null = null;
  let emptied = () => {};

  const around: Surroundings = {
    destinationOf: redirectedFrom,
    dial,
    ...options,
    onBug,
    times: { ...TIMES, ...options.times },
    openOf: (agent) => openByAgent.get(agent) ?? 0,
  };

  /** One bug in one connection must not keep the others from their turn. */
  const each = (visit: (connection: Connection) => void) => {
    for (const connection of connections) {
      try {
        visit(connection);
      } catch (bug) {
        onBug(bug);
        connection.close();
      }
    }
  };
  const check = () => {
    const now = options.clock.now();
    const monotonic = options.clock.monotonic();
    each((connection) => connection.check(now, monotonic));
    if (connections.size === 0 && checking !== null) {
      clearInterval(checking);
      checking = null;
    }
  };
  const gone = (connection: Connection) => {
    if (!connections.delete(connection)) return;
    const left = openByAgent.get(connection.agent)! - 1;
    if (left === 0) openByAgent.delete(connection.agent);
    else openByAgent.set(connection.agent, left);
    if (connections.size === 0) emptied();
  };
  const accept = (session: Session, socket: Socket) => {
    const connection = new Connection(session, around, socket, gone);
    connections.add(connection);
    openByAgent.set(session.agent, around.openOf(session.agent) + 1);
    checking ??= setInterval(check, CHECK);
    void connection.run();
    return socket.handler;
  };

  const recordPacket = (
    session: string,
    packet: Pick<DecisionEvent, 'time' | 'agent' | 'protocol' | 'host' | 'port' | 'count'>,
  ) => {
    const connection = sessions.get(session)?.nextConnection() ?? 0;
    const refused = { verdict: 'deny', reason: 'protocol', rule: null, wouldDeny: false } as const;
    options.recorder.decide({ kind: 'decision', session, connection, ...packet, ...refused }).catch(onBug);
  };

  return {
    serveTransparent({ fd, agent, session: id, ...names }) {
      const session = new Session(agent, id, names);
      sessions.set(id, session);
      listeners.push(listenOn(fd, (socket) => accept(session, socket)));
    },
    refusePacket(id, { agent, protocol, destination, port }) {
      const session = sessions.get(id);
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
    rejudge() {
      const policy = options.policy();
      each((connection) => connection.rejudge(policy));
    },
    openConnections: () => connections.size,
    async close() {
      for (const listener of listeners.splice(0)) listener.close();
      if (connections.size > 0) {
        const empty = new Promise<void>((resolve) => {
          emptied = resolve;
        });
        const late = setTimeout(emptied, LAST);
        await empty;
        clearTimeout(late);
        each((connection) => connection.close());
      }
      if (checking !== null) clearInterval(checking);
      checking = null;
      await options.recorder.flush();
    },
  };
}

function redirectedFrom(socket: Socket): Destination | null {
  const local = socket.localAddress;
  const family = local.includes(':') && !local.startsWith('::ffff:') ? 6 : 4;
  const found = originalDestination(socket.fd, family);
  return found === null ? null : { address: addressOf(found.address), port: found.port };
}
