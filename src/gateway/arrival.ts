/**
 * Hops 1 and 2 as their outcome: who a client is and where it wants to go, whichever way it came in. A transparent
 * client was redirected and knows nothing of us; one of a proxy waits for an answer before its tunnel begins.
 */
import { type Address, parseAddress } from '../names/address.ts';
import { type Host, parseHost, spellsAddress } from '../names/host.ts';
import type { Socket } from '../net/socket.ts';
import type { Door } from './door.ts';
import { because, type Problem } from './gates.ts';
import type { Identified, Identity } from './identity.ts';
import type { Session } from './session.ts';
import type { Destination } from './surroundings.ts';

export interface Aim {
  host: Host;
  port: number;
}

export interface Arrival {
  near: Socket;
  session: Session;
  /** Null: by a fence of its own, which is the agent's as long as it stands. */
  identified: Identified | null;
  /** Null where it could not be read. */
  aim: Aim | null;
  /** Why it is refused before anything is decided; never null without an aim. */
  refused: Problem | null;
  /** The address that stands for the host, kept as long as this connection uses it. */
  synthetic: Address | null;
  /** How a client that waits for an answer gets it; null for one that was redirected. */
  door: Door | null;
  /** What came behind the request: it belongs to the tunnel. */
  rest: Uint8Array | null;
}

/** By name where the address stands for one. `identity` is null where the fence itself says who it is. */
export function transparentArrival(
  near: Socket,
  session: Session,
  identity: Identity | null,
  destination: Destination | null,
): Arrival {
  const common = { near, session, door: null, rest: null, synthetic: null, refused: null };
  if (destination === null)
    return { ...common, identified: null, aim: null, refused: because('unknown-target') };
  const { address, port } = destination;
  const name = session.names.nameOf(address);
  const host: Host | null = name === null ? { kind: 'address', address } : parseHost(name);
  if (host === null) return { ...common, identified: null, aim: null, refused: hostProblem(name!) };
  const aim = { host, port };
  if (identity !== null && !identity.ok)
    return { ...common, identified: null, aim, refused: because(identity.reason) };
  return { ...common, identified: identity, aim, synthetic: name === null ? null : address };
}

/** What a client of a proxy asked for. Who spells an address in another way is refused, and not misunderstood. */
export function aimAt(text: string, port: number): Aim | Problem {
  const host = parseHost(text);
  if (host === null) return hostProblem(text);
  return port === 0 ? because('malformed-port') : { host, port };
}

export function hostProblem(text: string): Problem {
  return because(spellsAddress(text) ? 'address-spelling' : 'malformed-host');
}

/** Who is at the other end; null for a unix socket. */
export const peerOf = (near: Socket): Address | null => parseAddress(near.remoteAddress ?? '');
