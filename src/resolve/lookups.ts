/**
 * Lookups under way: equal ones share one answer, a bounded number runs at once, and an answer is kept for its
 * TTL. Failures are not kept: whoever asks again may have better luck.
 */
import { Turns } from './turns.ts';
import type { Found, Resolution, Upstream } from './upstream.ts';

export interface Lookups {
  /**
   * All addresses of a canonical name; at least one. Never rejects. A lookup that has to wait is not made any more when
   * its turn comes and nobody wants it: a question that is asked after a kill is one too many.
   */
  find(name: string, isWanted?: () => boolean): Promise<Resolution>;
}

/**
 * Lookups that may run at once, and wait to run. Threads and sockets are finite; an agent's wishes are not. Names of one
 * domain share its name servers: where those do not answer, names without end below an allowed wildcard would keep all
 * other names waiting.
 */
const LIMITS = { running: 64, runningOfGroup: 16, waiting: 1_024, waitingOfGroup: 256 };
/** Milliseconds after which nobody waits for a lookup any more; the system's resolver cannot be stopped. */
const PATIENCE = 10_000;
/** A TTL of days is no reason to miss a change for days. Milliseconds. */
const KEEP_MAX = 60_000;
const KEPT_MAX = 1_024;

export function createLookups(upstream: Upstream, patience = PATIENCE): Lookups {
  const inFlight = new Map<string, { answer: Promise<Resolution>; wanted: Array<() => boolean> }>();
  const kept = new Map<string, { found: Resolution; until: number }>();
  const turns = new Turns(LIMITS);

  const keep = (name: string, found: Found) => {
    if (!found.ok || found.ttl <= 0) return;
    if (kept.size >= KEPT_MAX) kept.delete(kept.keys().next().value!);
    const until = performance.now() + Math.min(found.ttl * 1_000, KEEP_MAX);
    kept.set(name, { found: { ok: true, addresses: found.addresses }, until });
  };

  const lookUp = async (
    name: string,
    domain: string,
    wanted: ReadonlyArray<() => boolean>,
  ): Promise<Resolution> => {
    await turns.take(domain);
    try {
      if (!wanted.some((isWanted) => isWanted())) return { ok: false, detail: 'given up' };
      const found = await upstream(name);
      keep(name, found);
      return found.ok ? { ok: true, addresses: found.addresses } : found;
    } catch {
      return { ok: false, detail: 'failed' };
    } finally {
      turns.pass(domain);
    }
  };

  return {
    find(name, isWanted = () => true) {
      const remembered = kept.get(name);
      if (remembered !== undefined && remembered.until > performance.now())
        return Promise.resolve(remembered.found);
      kept.delete(name);
      const same = inFlight.get(name);
      if (same !== undefined) {
        same.wanted.push(isWanted);
        return same.answer;
      }
      const domain = groupOf(name);
      if (!turns.hasRoom(domain)) return Promise.resolve({ ok: false, detail: 'too many lookups at once' });
      const until = performance.now() + patience;
      const wanted = [() => performance.now() < until && isWanted()];
      const answer = within(patience, lookUp(name, domain, wanted)).finally(() => inFlight.delete(name));
      inFlight.set(name, { answer, wanted });
      return answer;
    },
  };
}

/** The public suffix list is large: it is loaded for the first name, not at the start. */
function groupOf(name: string): string {
  const suffixes = require('../names/suffix.ts') as typeof import('../names/suffix.ts');
  return suffixes.registrableDomain(name) ?? name;
}

function within(milliseconds: number, answer: Promise<Resolution>): Promise<Resolution> {
  const { promise, resolve } = Promise.withResolvers<Resolution>();
  const timer = setTimeout(() => resolve({ ok: false, detail: 'timeout' }), milliseconds);
  return Promise.race([answer, promise]).finally(() => clearTimeout(timer));
}
