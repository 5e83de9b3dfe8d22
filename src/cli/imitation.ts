/** Whether a host imitates one that the rules allow: what a person should know before they allow it too. */
import type { Host } from '../names/host.ts';
import { type LookalikeIndex, lookalikeIndex, lookalikeOf } from '../names/lookalike.ts';
import { type Policy, ruleCount, rulesOf } from '../policy/policy.ts';

/** Comparing with more names takes longer than a person waits. */
const MOST_COMPARED = 20_000;

/** The names that rules allow; null where they are too many to compare with. */
export function allowedNames(policy: Policy, except: ReadonlySet<string> = new Set()): LookalikeIndex | null {
  if (ruleCount(policy) > MOST_COMPARED) return null;
  const allows = [...rulesOf(policy)].filter((rule) => rule.action === 'allow' && !except.has(rule.host));
  return lookalikeIndex(allows.map((rule) => rule.host.replace(/^\*\./, '')));
}

/** `imitates github.com (one letter off)`; null for a host that imitates none. */
export function imitationOf(host: Host, allowed: LookalikeIndex | null): string | null {
  const like = host.kind === 'name' && allowed !== null ? lookalikeOf(allowed, host.name) : null;
  return like === null ? null : `imitates ${like.of} (${like.kind})`;
}
