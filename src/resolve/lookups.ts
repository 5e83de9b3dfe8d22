/**
 * Lookups under way: equal ones share one answer, a bounded number runs at once, and an answer is kept for its
 * TTL. Failures are not kept: whoever asks again may have better luck.
 */
import type { Found, Resolution, Upstream } from './upstream.ts';

export interface Lookups {
  /** All addresses of a canonical name; at least one. Never rejects. */
  find(name: string): Promise<Resolution>;
}

/** Lookups that may run at once, and wait to run. Threads and sockets are finite; an agent's wishes are not. */
const RUNNING_MAX = 64;
const WAITING_MAX = 1_024;
/** Milliseconds after which nobody waits for a lookup any more; the system's resolver cannot be stopped. */
const PATIENCE = 10_000;
/** A TTL of days is no reason to miss a change for days. Milliseconds. */
const KEEP_MAX = 60_000;
const KEPT_MAX = 1_024;

export function createLookups(upstream: Upstream, patience = PATIENCE): Lookups {
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
    find(name) {
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
