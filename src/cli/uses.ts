/** Which rules the recorded connections were let through by, as far as host and agent tell. */
import type { HostUse } from '../events/queries.ts';
import { type Address, parseAddress } from '../names/address.ts';
import { parseRange, rangeContains } from '../names/range.ts';
import type { Rule } from '../policy/decision.ts';

export interface Use {
  /** Wall time in milliseconds; null for never. */
  last: number | null;
  /** Connections and requests in the last 24 hours. */
  count: number;
}

/** Every rule, in order, with its use. A denial has none. */
export function usesOf(rules: readonly Rule[], used: readonly HostUse[]): Map<Rule, Use> {
  const uses = new Map(rules.map((rule): [Rule, Use] => [rule, { last: null, count: 0 }]));
  const byHost = new Map<string, Rule[]>();
  const ranges: Rule[] = [];
  for (const rule of rules) {
    if (rule.action === 'deny') continue;
    if (parseRange(rule.host) !== null) ranges.push(rule);
    else byHost.set(rule.host, [...(byHost.get(rule.host) ?? []), rule]);
  }
  for (const { host, agent, last, count } of used) {
    const address = parseAddress(host);
    const candidates = address === null ? namedRules(byHost, host) : rangeRules(ranges, address);
    for (const rule of candidates) {
      if (rule.agents.length > 0 && !rule.agents.includes(agent)) continue;
      const use = uses.get(rule)!;
      use.last = Math.max(use.last ?? 0, last);
      use.count += count;
    }
  }
  return uses;
}

function namedRules(byHost: ReadonlyMap<string, Rule[]>, host: string): Rule[] {
  const patterns = [host, '*'];
  for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1))
    patterns.push(`*${host.slice(dot)}`);
  return patterns.flatMap((pattern) => byHost.get(pattern) ?? []);
}

const rangeRules = (rules: readonly Rule[], address: Address) =>
  rules.filter((rule) => rangeContains(parseRange(rule.host)!, address));
