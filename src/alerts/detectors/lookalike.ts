/** A request to a host that imitates an allowed one: a slip in a configuration, or a name that somebody set out as bait. */
import { isFolded } from '../../events/distinct.ts';
import { type LookalikeIndex, lookalikeOf } from '../../names/lookalike.ts';
import { allowedNames } from '../../policy/allowednames.ts';
import type { Policy } from '../../policy/policy.ts';
import { BoundedMap } from '../counting/bounded.ts';
import type { Detector, DetectorContext } from './detector.ts';

const MOST_KNOWN = 20_000;
const NONE = '';

export function createLookalikes({ policy }: DetectorContext): Detector {
  let judged: Policy | null = null;
  let index: LookalikeIndex | null = null;
  const known = new BoundedMap<string>(MOST_KNOWN);

  const sentenceFor = (host: string): string => {
    const found = index === null || isFolded(host) ? null : lookalikeOf(index, host);
    return found === null ? NONE : `${host} imitates ${found.of}, which is allowed (${found.kind})`;
  };

  return {
    see(row) {
      if (row.kind !== 'decision') return null;
      const current = policy();
      if (current !== judged) {
        judged = current;
        index = allowedNames(current);
        known.clear();
      }
      let text = known.get(row.host);
      if (text === undefined) {
        text = sentenceFor(row.host);
        known.set(row.host, text);
      }
      return text === NONE ? null : { agent: row.agent, host: row.host, text, value: null, threshold: null };
    },
  };
}
