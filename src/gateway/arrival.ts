/**
 * Hops 1 and 2 as their outcome: who a client is and where it wants to go, whichever way it came in. A transparent
 * client was redirected and knows nothing of us; one of a proxy waits for an answer before its tunnel begins.
 */
import { type Address, parseAddress } from '../names/address.ts';
import { type Host, parseHost } from '../names/host.ts';
import type { Socket } from '../net/socket.ts';
import type { Reason } from '../policy/reason.ts';
import type { Door } from './door.ts';
import type { Identified } from './identity.ts';
import type { Session } from './session.ts';
import type { Destination } from './surroundings.ts';

export interface Arrival {
  near: Socket;
  session: Session;
  /** Null: by a fence of its own, which is the agent's as long as it stands. */
  identified: Identified | null;
  /** Null where it could not be read. */
  aim: { host: Host; port: number } | null;
  /** Why it is refused before anything is decided; never null without an aim. */
  refused: Reason | null;
  /** The address that stands for the host, kept as long as this connection uses it. */
  synthetic: Address | null;
  /** How a client that waits for an answer gets it; null for one that was redirected. */
  door: Door | null;
  /** What came behind the request: it belongs to the tunnel. */
  rest: Uint8Array | null;
}

/** By name where the address stands for one. */
export function transparentArrival(
  near: Socket,
  session: Session,
  identified: Identified | null,
  destination: Destination | null,
): Arrival {
  const common = { near, session, identified, door: null, rest: null };
  if (destination === null) return { ...common, aim: null, refused: 'unknown-target', synthetic: null };
  const { address, port } = destination;
  const name = session.names.nameOf(address);
  if (name === null)
    return { ...common, aim: { host: { kind: 'address', address }, port }, refused: null, synthetic: null };
  const host = parseHost(name);
  return host === null
    ? { ...common, aim: null, refused: 'malformed-host', synthetic: null }
    : { ...common, aim: { host, port }, refused: null, synthetic: address };
}

/** Who is at the other end; null for a unix socket. IPv4 on a socket of both families is IPv4. */
export function peerOf(near: Socket): Address | null {
  const text = near.remoteAddress ?? '';
  return parseAddress(text.startsWith('::ffff:') && text.includes('.') ? text.slice(7) : text);
}
