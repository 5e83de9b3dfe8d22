/**
 * Resolves names that a rule has allowed. What the policy's `hosts` fixes comes first. Equal lookups in flight
 * share one answer; a resolver lives as long as its policy, so nothing is kept from one policy to the next.
 */
import type { Address } from '../names/address.ts';
import { parseHost } from '../names/host.ts';
import { createHttpsUpstream } from './https.ts';
import { createServerUpstream } from './server.ts';
import { lookupBySystem } from './system.ts';
import type { Found, Resolution, Upstream } from './upstream.ts';

export interface Resolver {
  /**
   * All addresses of a canonical name, of both families, so that all of them can be judged; at least one.
   * Never rejects.
   */
  resolve(name: string): Promise<Resolution>;
}

interface Options {
  /** `system`, an address with or without a port, or an https URL (DNS over HTTPS). */
  upstream: string;
  /** By canonical name. */
  hosts: ReadonlyMap<string, Address[]>;
}

const DNS_PORT = 53;
/** Lookups that may run at once, and wait to run. Threads and sockets are finite; an agent's wishes are not. */
const RUNNING_MAX = 64;
const WAITING_MAX = 1_024;
/** Milliseconds after which nobody waits for a lookup any more; the system's resolver cannot be stopped. */
const PATIENCE = 10_000;
/** A TTL of days is no reason to miss a change for days. Milliseconds. */
const KEEP_MAX = 60_000;
const KEPT_MAX = 1_024;

export function createResolver(options: Options): Resolver {
  return createResolverOn(upstreamOf(options.upstream), options.hosts);
}

/** As `createResolver`, with an upstream of one's own. */
export function createResolverOn(
  upstream: Upstream,
  hosts: ReadonlyMap<string, Address[]>,
  patience = PATIENCE,
): Resolver {
  const inFlight = new Map<string, Promise<Resolution>>();
  const kept = new Map<string, { found: Resolution; until: number }>();
  const waiting: Array<() => void> = [];
  let running = 0;

  const keep = (name: string, found: Found) => {
    if (!found.ok || found.ttl <= 0) return;
    if (kept.size >= KEPT_MAX) kept.delete(kept.keys().next().value!);
    const until = performance.now() + Math.min(found.ttl * 1_000, KEEP_MAX);
    kept.set(name, { found: { ok: true, addresses: found.addresses }, until });
  };

  const turn = async () => {
    if (running >= RUNNING_MAX) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
  };
  const pass = () => {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  };

  const lookUp = async (name: string): Promise<Resolution> => {
    await turn();
    try {
      const found = await upstream(name);
      keep(name, found);
      return found.ok ? { ok: true, addresses: found.addresses } : found;
    } catch {
      return { ok: false, detail: 'failed' };
    } finally {
      pass();
    }
  };

  return {
    resolve(name) {
      const fixed = hosts.get(name);
      if (fixed !== undefined) return Promise.resolve({ ok: true, addresses: fixed });
      const remembered = kept.get(name);
      if (remembered !== undefined && remembered.until > performance.now())
        return Promise.resolve(remembered.found);
      kept.delete(name);
      const same = inFlight.get(name);
      if (same !== undefined) return same;
      if (waiting.length >= WAITING_MAX)
        return Promise.resolve({ ok: false, detail: 'too many lookups at once' });
      const answer = within(patience, lookUp(name)).finally(() => inFlight.delete(name));
      inFlight.set(name, answer);
      return answer;
    },
  };
}

function within(milliseconds: number, answer: Promise<Resolution>): Promise<Resolution> {
  const { promise, resolve } = Promise.withResolvers<Resolution>();
  const timer = setTimeout(() => resolve({ ok: false, detail: 'timeout' }), milliseconds);
  return Promise.race([answer, promise]).finally(() => clearTimeout(timer));
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
