/**
 * DNS tunnelling: data carried in the names that are asked for. Nothing is forwarded from inside a fence, so it
 * carries nothing out; that somebody tries is worth knowing. For each agent and domain, in the last half hour to
 * hour: how many different names, how many of them look like coded data, how many are longer than names are.
 */
import { isFolded } from '../../events/distinct.ts';
import { BoundedMap } from './bounded.ts';
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
const LIMITS = { coded: 10, long: 4, names: 1_000 } as const;

interface Half {
  began: number;
  hashes: Set<number>;
  names: number;
  coded: number;
  long: number;
}

type Measure = keyof typeof LIMITS;

const empty = (began: number): Half => ({ began, hashes: new Set(), names: 0, coded: 0, long: 0 });

export function createTunnels(): Detector {
  const groups = new BoundedMap<[now: Half, before: Half]>(MOST_GROUPS);
  const domainOf = createDomains();

  return {
    see(row) {
      if (row.kind !== 'question') return null;
      const domain = domainOf(row.host);
      // Names of addresses are asked for by every program that logs.
      if (domain === null || row.host.endsWith('.arpa')) return null;
      const key = `${row.agent} ${domain}`;
      const halves = halvesAt(groups.get(key), row.time - (row.time % HALF));
      groups.set(key, halves);
      if (!isFolded(row.host)) {
        if (!isNew(row.host, halves)) return null;
        halves[0].names++;
        const before = row.host.slice(0, Math.max(0, row.host.length - domain.length - 1));
        if (before.length >= LONG) halves[0].long++;
        if (coded(before)) halves[0].coded++;
      } else halves[0].names += row.count;
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

function findingOf(agent: string, domain: string, [now, before]: [Half, Half]): Finding | null {
  const sum = (measure: Measure) => now[measure] + before[measure];
  const measure = (['coded', 'long', 'names'] as const).find((measure) => sum(measure) >= LIMITS[measure]);
  if (measure === undefined) return null;
  const what = {
    coded: `${sum('coded')} of them look like coded data`,
    long: `${sum('long')} of them are longer than ${LONG} characters`,
    names: 'more than any ordinary domain has',
  }[measure];
  return {
    agent,
    host: domain,
    text: `${sum('names')} different names below ${domain} were looked up within an hour; ${what}`,
    value: sum(measure),
    threshold: LIMITS[measure],
  };
}
