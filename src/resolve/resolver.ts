/**
 * Resolves names that a rule has allowed. What the policy's `hosts` fixes comes first. A resolver lives as long
 * as its policy, so nothing is kept from one policy to the next.
 */
import type { Address } from '../names/address.ts';
import { parseHost } from '../names/host.ts';
import { createHttpsUpstream } from './https.ts';
import { createLookups } from './lookups.ts';
import { createServerUpstream } from './server.ts';
import { lookupBySystem } from './system.ts';
import type { Resolution, Upstream } from './upstream.ts';

export interface Resolver {
  /**
   * All addresses of a canonical name, of both families, so that all of them can be judged; at least one.
   * Never rejects. `isWanted`: whether somebody still waits for it; by default somebody does.
   */
  resolve(name: string, isWanted?: () => boolean): Promise<Resolution>;
}

interface Options {
  /** `system`, an address with or without a port, or an https URL (DNS over HTTPS). */
  upstream: string;
  /** By canonical name. */
  hosts: ReadonlyMap<string, readonly Address[]>;
}

const DNS_PORT = 53;
export function createResolver(options: Options): Resolver {
  const { hosts } = options;
  const lookups = createLookups(upstreamOf(options.upstream));
  return {
    resolve(name, isWanted) {
      const fixed = hosts.get(name);
      return fixed === undefined
        ? lookups.find(name, isWanted)
        : Promise.resolve({ ok: true, addresses: fixed });
    },
  };
}

/** The policy has checked the text; one that means nothing resolves nothing. */
function upstreamOf(text: string): Upstream {
  if (text === 'system') return lookupBySystem;
  if (text.startsWith('https://')) return createHttpsUpstream(text);
  const server = serverOf(text);
  if (server !== null) return createServerUpstream(server);
  return () => Promise.resolve({ ok: false, detail: 'dns.upstream is malformed' });
}

/** `10.0.0.53`, `10.0.0.53:5353`, `2001:db8::53`, `[2001:db8::53]:5353`. */
function serverOf(text: string): { address: Address; port: number } | null {
  const bare = parseHost(text);
  if (bare !== null) return bare.kind === 'address' ? { address: bare.address, port: DNS_PORT } : null;
  const match = /^(.+):(\d{1,5})$/.exec(text);
  const host = match === null ? null : parseHost(match[1]!);
  const port = Number(match?.[2]);
  return host?.kind === 'address' && port >= 1 && port <= 65_535 ? { address: host.address, port } : null;
}
