/** The first time that an agent is let through to a domain, once its usual ones are known. */
import { isFolded } from '../../events/distinct.ts';
import { BoundedMap } from '../counting/bounded.ts';
import type { Detector, DetectorContext } from './detector.ts';
import { createDomains } from './domain.ts';

/** An agent's first day shows what is usual for it. */
const LEARNING = 86_400_000;
const MOST_KNOWN = 50_000;

export function createFirstContacts({ memory }: DetectorContext): Detector {
  const domainOf = createDomains();
  const known = new BoundedMap<true>(MOST_KNOWN);

  return {
    see(row) {
      if (row.kind !== 'decision' || row.verdict !== 'allow' || isFolded(row.host)) return null;
      const { agent, host, time } = row;
      const domain = domainOf(host);
      const key = `first_contact ${agent} ${domain}`;
      if (known.get(key)) return null;
      known.set(key, true);
      const since = memory.get(`first_contact ${agent}`);
      if (since === null) memory.set(`first_contact ${agent}`, time);
      if (memory.get(key) !== null) return null;
      memory.set(key, time);
      if (since === null || time - since < LEARNING) return null;
      return {
        agent,
        host,
        text: `${agent} reached ${domain} for the first time`,
        value: null,
        threshold: null,
      };
    },
  };
}
