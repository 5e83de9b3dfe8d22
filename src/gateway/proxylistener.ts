/** A listener that clients use as their proxy: HTTP (CONNECT and absolute URLs) and SOCKS5 on one port. */
import type { Address } from '../names/address.ts';
import { type Range, rangeContains } from '../names/range.ts';
import { type Listener, type ListenerTls, listen, type Where } from '../net/listen.ts';
import { securing } from '../net/secure.ts';
import type { Socket } from '../net/socket.ts';
import { fromOf } from '../policy/policy.ts';
import { type Arrival, peerOf } from './arrival.ts';
import { credentialsIn } from './credentials.ts';
import { Forward } from './forward.ts';
import type { ForwardContext } from './forwardcontext.ts';
import type { Spare } from './forwardorigins.ts';
import { because } from './gates.ts';
import type { Gateway } from './gateway.ts';
import { type Beginning, Greeting, type GreetingContext } from './greeting.ts';
import { type Session, UNIDENTIFIED } from './session.ts';
import type { Surroundings } from './surroundings.ts';
import type { Waiting } from './waiting.ts';

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
  waiting: Waiting;
  spare: Spare;
  sessionOf(session: string, agent: string): Session;
  /** Whether there is no descriptor left for one more. */
  isFull(): boolean;
  /** Hands on a client that has said what it wants. */
  admit(arrival: Arrival): void;
}

/** A proxy on this gateway. */
export function serveProxy(gateway: Gateway, options: ProxyListenerOptions): Listener {
  return gateway.serveBy((context) => listenAsProxy(options, context));
}

function listenAsProxy(options: ProxyListenerOptions, context: ProxyContext): Listener {
  const { around, waiting, isFull, admit } = context;
  const sessionOf = (agent: string) => context.sessionOf(options.session, agent);
  const { proxyProtocol = [], agent = null, tls = null } = options;
  /** What a balancer says comes before TLS begins. */
  const isBehind = tls !== null && proxyProtocol.length > 0;
  const unidentified = sessionOf(UNIDENTIFIED);
  /** Where clients come from whose requests are forwarded. */
  const addresses = new WeakMap<Socket, Address | null>();

  const over = (greeting: Greeting) => {
    waiting.delete(greeting);
  };
  const greet = (near: Socket, address: Address | null, begins: Beginning): Greeting => {
    const greeting = new Greeting(greetingContext, near, address, begins);
    waiting.add(greeting);
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
      waiting.add(forward);
      forward.run();
    },
    onGone: over,
  };
  const forwardContext: ForwardContext = {
    around,
    usage: around.usage,
    spare: context.spare,
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
    onServed: (forward) => waiting.serve(forward),
    onGone: (forward) => waiting.delete(forward),
  };

  const accept = (near: Socket) => {
    if (isFull()) {
      const nobody = { session: unidentified, identified: null, aim: null, synthetic: null };
      admit({ near, ...nobody, refused: because('limit-total'), door: null, rest: null });
      return near.handler;
    }
    // A question to the kernel that most listeners have no use for.
    const isAsked = proxyProtocol.length > 0 || fromOf(around.policy()).length > 0;
    const address = isAsked ? peerOf(near) : null;
    const balanced = address !== null && proxyProtocol.some((range) => rangeContains(range, address));
    greet(near, address, balanced ? 'balancer' : 'client');
    return near.handler;
  };
  return listen(options.where, accept, isBehind ? null : tls);
}
