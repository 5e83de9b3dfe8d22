/** A listener that clients use as their proxy: HTTP (CONNECT and absolute URLs) and SOCKS5 on one port. */
import type { Address } from '../names/address.ts';
import { type Range, rangeContains } from '../names/range.ts';
import { type Listener, type ListenerTls, listen, type Where } from '../net/listen.ts';
import { securing } from '../net/secure.ts';
import type { Socket } from '../net/socket.ts';
import { limitsOf } from '../policy/policy.ts';
import { type Arrival, peerOf } from './arrival.ts';
import { credentialsIn } from './credentials.ts';
import { Forward } from './forward.ts';
import type { ForwardContext } from './forwardcontext.ts';
import { type Beginning, Greeting, type GreetingContext } from './greeting.ts';
import { type Session, UNIDENTIFIED } from './session.ts';
import type { AllStanding } from './standing.ts';
import type { Surroundings } from './surroundings.ts';

export interface ProxyListenerOptions {
  /** A listening socket that somebody else opened (it belongs to the listener from now on), or where to listen. */
  where: Where;
  /** TLS between the client and the proxy (an `https://` proxy). */
  tls?: ListenerTls | null;
  /** Balancers there must begin with a PROXY protocol header, version 2; nobody else may. */
  proxyProtocol?: readonly Range[];
  /** Whoever connects here is this agent. */
  agent?: string | null;
  /** Unique on this machine. Several listeners of one process share it. */
  session: string;
}

/** What a proxy listener needs of its gateway. */
export interface ProxyContext {
  around: Surroundings;
  standing: AllStanding;
  sessionOf(agent: string): Session;
  /** Hands on a client that has said what it wants. */
  admit(arrival: Arrival): void;
}

/** Clients that have yet to say what they want. Beyond that, who has been silent for longest has to go. */
const MOST_GREETINGS = 4_096;

export function serveProxy(options: ProxyListenerOptions, context: ProxyContext): Listener {
  const { around, standing, sessionOf, admit } = context;
  const { proxyProtocol = [], agent = null, tls = null } = options;
  /** What a balancer says comes before TLS begins. */
  const isBehind = tls !== null && proxyProtocol.length > 0;
  const unidentified = sessionOf(UNIDENTIFIED);
  const greetings = new Set<Greeting>();
  /** Where clients come from whose requests are forwarded. */
  const addresses = new WeakMap<Socket, Address | null>();

  const over = (greeting: Greeting) => {
    greetings.delete(greeting);
    standing.delete(greeting);
  };
  const greet = (near: Socket, address: Address | null, begins: Beginning): Greeting => {
    const greeting = new Greeting(greetingContext, near, address, begins);
    greetings.add(greeting);
    standing.add(greeting);
    return greeting;
  };
  const greetingContext: GreetingContext = {
    around,
    agent,
    sessionOf,
    unidentified,
    secure: isBehind ? securing(tls) : null,
    arrived(greeting, arrival) {
      over(greeting);
      admit(arrival);
    },
    forward(greeting, bytes, address) {
      over(greeting);
      addresses.set(greeting.near, address);
      const forward = new Forward(forwardContext, greeting.near, bytes);
      standing.add(forward);
      forward.run();
    },
    onGone: over,
  };
  const forwardContext: ForwardContext = {
    around,
    usage: around.usage,
    senderOf(near, authorization) {
      const credentials = authorization === null ? null : credentialsIn(authorization);
      const address = addresses.get(near) ?? null;
      const identity = around.identities.identify({ address, listenerAgent: agent, credentials });
      return identity.ok
        ? { ok: true, session: sessionOf(identity.agent), identified: identity }
        : { ok: false, reason: identity.reason, session: unidentified };
    },
    holds: (identified) => around.identities.holds(identified),
    onConnect(near, bytes) {
      greet(near, addresses.get(near) ?? null, 'again').onData(near, bytes);
    },
    onGone: (forward) => standing.delete(forward),
  };

  const accept = (near: Socket) => {
    const most = Math.min(MOST_GREETINGS, limitsOf(around.policy()).connections);
    if (greetings.size >= most) {
      const [oldest] = greetings;
      oldest!.giveUp('limit-total');
    }
    const address = peerOf(near);
    const balanced = address !== null && proxyProtocol.some((range) => rangeContains(range, address));
    greet(near, address, balanced ? 'balancer' : 'client');
    return near.handler;
  };
  return listen(options.where, accept, isBehind ? null : tls);
}
