/** What was recorded of a connection, beside what the rules say of it now: the two differ more often than it seems. */
import type { StoredEvent } from '../events/row.ts';
import { isFailure } from '../gateway/refusal.ts';
import type { Decision } from '../policy/decision.ts';
import { REASONS, type Reason } from '../policy/reason.ts';

/** What the rules answer without resolving a name. They have no part in any other reason. */
const OF_RULES: ReadonlySet<Reason> = new Set([
  ...(['rule', 'observed', 'denied', 'no-rule', 'port', 'agent', 'expired', 'special-name'] as const),
]);
/** What they answer to addresses, which are known once the name is resolved. */
const OF_ADDRESSES: ReadonlySet<Reason> = new Set(['address-refused', 'address-denied', 'addresses-mixed']);

const reasonOf = (event: StoredEvent): Reason | null => ('reason' in event ? event.reason : null);

/** Whether no rule had a part in it, so that no change of one would have helped. */
export function isBesideRules(event: StoredEvent): boolean {
  const reason = reasonOf(event);
  const others = reason === 'killed' || reason === 'policy-changed';
  return reason !== null && !OF_RULES.has(reason) && !OF_ADDRESSES.has(reason) && !others;
}

/** `It was refused then: no rule allows this host (no-rule).` Null where nothing was decided. */
export function recordedSentence(event: StoredEvent): string | null {
  const reason = reasonOf(event);
  if (reason === null) return null;
  const detail = event.kind === 'refusal' && event.detail !== null ? `: ${event.detail}` : '';
  return `It was ${outcomeOf(event, reason)} then: ${REASONS[reason]} (${reason}${detail}).`;
}

function outcomeOf(event: StoredEvent, reason: Reason): string {
  if (event.kind === 'decision' && event.verdict === 'allow')
    return event.wouldDeny ? 'let through, NOT ENFORCED,' : 'allowed';
  if (isFailure(reason)) return 'not reached';
  return event.kind === 'close' && event.outcome !== 'refused' ? 'ended' : 'refused';
}

/** Why the answer of now is not what was recorded; null where it is. */
export function differenceFrom(event: StoredEvent, now: Decision): string | null {
  const then = reasonOf(event);
  if (then === null || then === now.reason) return null;
  if (then === 'policy-changed' && now.verdict !== 'allow') return null;
  if (then === 'killed') return 'The kill switch was on then and is off now.';
  if (now.reason === 'killed') return 'The kill switch is on now and was not then.';
  if (isBesideRules(event)) return 'That is no matter of the rules; below is what they say of the host now.';
  if (OF_ADDRESSES.has(then) && now.verdict === 'allow')
    return 'Where the name leads is seen when it is resolved; below is what the rules say without that.';
  return 'The answer of now is another: the policy has changed since, or a rule has ended.';
}
