/**
 * Hop 1 on a listener that several agents share: who is it? Known by proxy credentials (the agent's name and its
 * token), by the listener's own agent, or by the address it comes from, in this order. Wrong credentials are refused
 * even where the listener or the address would do, and on a listener with an agent of its own so are those of others.
 * Never known by anything else that a client says.
 */
import type { Tokens } from '../config/tokens.ts';
import type { Address } from '../names/address.ts';
import type { Policy } from '../policy/policy.ts';

export interface Caller {
  /** Where it comes from: the socket's peer, or what a trusted balancer says. Null: a unix socket. */
  address: Address | null;
  /** Whose listener it is. */
  listenerAgent: string | null;
  /** As the client gave them; null where it gave none. */
  credentials: { user: string; password: string } | null;
}

/** How an agent was known, to ask again later whether it still is. */
export interface Identified {
  ok: true;
  agent: string;
  by: 'credentials' | 'listener' | 'address';
  /** Of the token that was shown. */
  digest: Uint8Array | null;
  address: Address | null;
}

export type Identity = Identified | { ok: false; reason: 'credentials-missing' | 'credentials-wrong' };

export interface Identities {
  identify(caller: Caller): Identity;
  /** Whether what was found still holds under the policy and the tokens of the moment; if not: `agent-removed`. */
  holds(identified: Identified): boolean;
}

export type Identify = Identities['identify'];

export interface IdentitySources {
  policy: () => Policy;
  tokens: () => Tokens;
}

export function createIdentity(_sources: IdentitySources): Identities {
  return {
    identify: () => ({ ok: false, reason: 'credentials-missing' }),
    holds: () => false,
  };
}
