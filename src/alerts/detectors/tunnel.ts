/**
 * DNS tunnelling: data carried in the names that are asked for. Nothing is forwarded from inside a fence, so it
 * carries nothing out; that somebody tries is worth knowing. For each agent and domain, in the last half hour to
 * hour: how many different names, how many of them look like coded data, how many are longer than names are.
 */
import { isFolded } from '../../events/distinct.ts';
import { BoundedMap } from '../counting/bounded.ts';
import { coded } from './coded.ts';
import type { Detector, Finding } from './detector.ts';
import { createDomains } from './domain.ts';

/** Two halves: at any moment the last one and what has passed of this one are looked at. */
const HALF = 1_800_000;
const MOST_GROUPS = 1_000;
/** Names remembered for each half; past that, every one counts as a new one. */
const MOST_NAMES = 256;

/** Characters before the registered domain. */
const LONG = 60;
const LIMITS = { coded: 10, long: 4, unfit: 3, odd: 3, names: 1_000 } as const;

/** Types that nothing but a tunnel asks for: NULL (RFC 1035), KEY (RFC 3445) and a number for private use. */
const ODD_TYPES: ReadonlySet<string> = new Set(['NULL', 'TYPE25', 'TYPE65399']);

interface Half {
  began: number;
  hashes: Set<number>;
  names: number;
  coded: number;
  long: number;
  /** Questions for names that no host has. */
  unfit: number;
  /** Questions of types that nothing ordinary asks for. */
  odd: number;
}

type Measure = keyof typeof LIMITS;

const empty = (began: number): Half => ({
  began,
  hashes: new Set(),
  names: 0,
  coded: 0,
  long: 0,
  unfit: 0,
  odd: 0,
});

export function createTunnels(): Detector {
  const groups = new BoundedMap<[now: Half, before: Half]>(MOST_GROUPS);
  const domainOf = createDomains();

  return {
    see(row) {
      if (row.kind !== 'question') return null;
      const domain = domainOf(row.host);
      // Addresses are asked for by every program that logs, and services of a local network have names like sentences.
      if (domain === null || /\.(arpa|local)\)?$/.test(row.host)) return null;
      const key = `${row.agent} ${domain}`;
      const halves = halvesAt(groups.get(key), row.time - (row.time % HALF));
      groups.set(key, halves);
      const [now] = halves;
      if (ODD_TYPES.has(row.type)) now.odd += row.count;
      if (row.host.startsWith('(?.')) now.unfit += row.count;
      else if (isFolded(row.host)) now.names += row.count;
      else if (isNew(row.host, halves)) {
        const before = row.host.slice(0, Math.max(0, row.host.length - domain.length - 1));
        now.names++;
        if (before.length >= LONG) now.long++;
        if (coded(before)) now.coded++;
      } else if (!ODD_TYPES.has(row.type)) return null;
      return findingOf(row.agent, domain, halves);
    },
  };
}

function halvesAt(known: [Half, Half] | undefined, began: number): [Half, Half] {
  if (known === undefined) return [empty(began), empty(began - HALF)];
  if (began <= known[0].began) return known;
  return [empty(began), began - HALF === known[0].began ? known[0] : empty(began - HALF)];
}

function isNew(host: string, [now, before]: [Half, Half]): boolean {
  const hash = Number(Bun.hash.xxHash32(host));
  if (now.hashes.has(hash) || before.hashes.has(hash)) return false;
  if (now.hashes.size < MOST_NAMES) now.hashes.add(hash);
  return true;
}

const SAID: Record<Measure, (number: number) => string> = {
  coded: (number) => `${number} different names that look like coded data`,
  long: (number) => `${number} different names of more than ${LONG} characters`,
  unfit: (number) => `${number} names with characters that no host has`,
  odd: (number) => `${number} records of a kind that nothing but a tunnel asks for`,
  names: (number) => `${number} different names`,
};

function findingOf(agent: string, domain: string, [now, before]: [Half, Half]): Finding | null {
  for (const measure of Object.keys(LIMITS) as Measure[]) {
    const value = now[measure] + before[measure];
    if (value < LIMITS[measure]) continue;
    const text = `${agent} looked up ${SAID[measure](value)} below ${domain} within an hour`;
    return { agent, host: domain, text, value, threshold: LIMITS[measure] };
  }
  return null;
}
