/** The names that rules allow, as something that a name can be held against to see what it imitates. */
import { type LookalikeIndex, lookalikeIndex } from '../names/lookalike.ts';
import { type Policy, ruleCount, rulesOf } from './policy.ts';

/** Comparing with more takes more time and memory than the answer is worth. */
const MOST_COMPARED = 20_000;

/** Null where they are too many to compare with. `except`: hosts as they stand in rules. */
export function allowedNames(policy: Policy, except: ReadonlySet<string> = new Set()): LookalikeIndex | null {
  if (ruleCount(policy) > MOST_COMPARED) return null;
  const hosts: string[] = [];
  for (const { action, host } of rulesOf(policy))
    if (action === 'allow' && !except.has(host)) hosts.push(host);
  return lookalikeIndex(hosts);
}
