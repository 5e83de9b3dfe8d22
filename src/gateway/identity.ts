/**
 * Hop 1 on a listener that several agents share: who is it? Known by proxy credentials (the agent's name and its
 * token), by the listener's own agent, or by the address it comes from, in this order. Wrong credentials are refused
 * even where the listener or the address would do, and on a listener with an agent of its own so are those of others.
 * Never known by anything else that a client says.
 */
import { digestOf, type Tokens } from '../config/tokens.ts';
import type { Address } from '../names/address.ts';
import { embeddedIn } from '../names/embedded.ts';
import { rangeContains } from '../names/range.ts';
import { fromOf, type Policy } from '../policy/policy.ts';

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

export interface IdentitySources {
  policy: () => Policy;
  tokens: () => Tokens;
}

/** Compared with where an agent has no token, so that it takes as long to be told so. */
const NOBODY = new Uint8Array(32);

export function createIdentity({ policy, tokens }: IdentitySources): Identities {
  const agentAt = (address: Address): string | null => {
    const plain = unmapped(address);
    return fromOf(policy()).find(({ range }) => rangeContains(range, plain))?.agent ?? null;
  };
  /** Whether it is the digest of the agent's token, in the same time whatever it is. */
  const isTokenOf = (agent: string, digest: Uint8Array): boolean => {
    // Loaded for the first who shows one: a fence has none, and starts sooner.
    const { timingSafeEqual } = require('node:crypto') as typeof import('node:crypto');
    const token = tokens().get(agent);
    return timingSafeEqual(digest, token?.digest ?? NOBODY) && token !== undefined;
  };
  return {
    identify({ address, listenerAgent, credentials }) {
      if (credentials !== null) {
        const { user, password } = credentials;
        const digest = digestOf(password);
        const elsewhere = listenerAgent !== null && listenerAgent !== user;
        if (!isTokenOf(user, digest) || elsewhere) return { ok: false, reason: 'credentials-wrong' };
        return { ok: true, agent: user, by: 'credentials', digest, address };
      }
      if (listenerAgent !== null)
        return { ok: true, agent: listenerAgent, by: 'listener', digest: null, address };
      const agent = address === null ? null : agentAt(address);
      if (agent === null) return { ok: false, reason: 'credentials-missing' };
      return { ok: true, agent, by: 'address', digest: null, address };
    },
    holds({ agent, by, digest, address }) {
      switch (by) {
        case 'credentials':
          return digest !== null && isTokenOf(agent, digest);
        case 'address':
          return address !== null && agentAt(address) === agent;
        case 'listener':
          return true; // until the listener itself is closed
      }
    },
  };
}

/** A socket for both families shows IPv4 peers in the mapped form (RFC 4291 section 2.5.5.2). */
function unmapped(address: Address): Address {
  if (address.family === 4) return address;
  const embedded = embeddedIn(address);
  return embedded?.form === 'mapped' ? embedded.addresses[0]! : address;
}
