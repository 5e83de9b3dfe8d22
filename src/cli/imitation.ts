/** Whether a host imitates one that the rules allow: what a person should know before they allow it too. */
import type { Host } from '../names/host.ts';
import { type LookalikeIndex, lookalikeOf } from '../names/lookalike.ts';
import { allowedNames } from '../policy/allowednames.ts';
import type { Decision, Target } from '../policy/decision.ts';
import type { Policy } from '../policy/policy.ts';

/** `imitates github.com (one letter off)`; null for a host that imitates none. */
export function imitationOf(host: Host, allowed: LookalikeIndex | null): string | null {
  const like = host.kind === 'name' && allowed !== null ? lookalikeOf(allowed, host.name) : null;
  return like === null ? null : `imitates ${like.of} (${like.kind})`;
}

/** Answers which allowed host the refused host of a target imitates, if any: one policy, any number of targets. */
export function imitated(policy: Policy): (target: Target, answer: Decision) => string | null {
  let allowed: LookalikeIndex | null | undefined;
  return ({ host }, { verdict, wouldDeny }) => {
    if (host.kind !== 'name' || (verdict === 'allow' && !wouldDeny)) return null;
    if (allowed === undefined) allowed = allowedNames(policy);
    return allowed === null ? null : (lookalikeOf(allowed, host.name)?.of ?? null);
  };
}
