/** What the gateway would decide about a target, as far as that can be known without resolving or connecting. */
import { systemClock } from '../base/clock.ts';
import type { Paths } from '../base/paths.ts';
import { isKilled } from '../config/killswitch.ts';
import { hostText } from '../names/host.ts';
import { decide, judgeAddress, ruleText } from '../policy/decide.ts';
import type { Decision, Rule, Target } from '../policy/decision.ts';
import { hostsOf, type Policy } from '../policy/policy.ts';
import { REASONS, type Reason } from '../policy/reason.ts';

export interface Judgement {
  verdict: Decision['verdict'];
  reason: Reason;
  rule: Rule | null;
  wouldDeny: boolean;
}

export const situation = (paths: Paths) => ({
  now: systemClock.now(),
  killed: isKilled(paths.kill),
  grants: [],
});

export function judge(policy: Policy, target: Target, at: ReturnType<typeof situation>): Judgement {
  const { verdict, reason, rule, wouldDeny, allowedBy } = decide(policy, target, at);
  const judgement = { verdict, reason, rule, wouldDeny };
  // An address, and a name that the policy gives addresses, meet the judgement of addresses too.
  const { host } = target;
  const addresses = host.kind === 'address' ? [host.address] : hostsOf(policy).get(host.name);
  if (verdict !== 'allow' || addresses === undefined) return judgement;
  // One rule must admit all of them; observing, no rule does.
  const refusals: Reason[] = [];
  for (const candidate of allowedBy.length > 0 ? allowedBy : [null]) {
    const refused = addresses
      .map((address) => judgeAddress(policy, target, candidate, address, at.now))
      .find((each) => each !== null);
    if (refused === undefined) return { ...judgement, rule: candidate };
    refusals.push(refused.reason);
  }
  return { ...judgement, verdict: 'deny', reason: refusals[0]!, wouldDeny: false };
}

export function ruleItem(rule: Rule | null): object | null {
  if (rule === null) return null;
  const { until } = rule;
  return {
    ...rule,
    until: until === null ? null : new Date(until).toISOString(),
    text: ruleText(rule),
  };
}

/** The `clawctl.egress.check/v1` document without its schema. */
export function judgementItem(target: Target, judgement: Judgement): object {
  const { verdict, reason, rule, wouldDeny } = judgement;
  const { port, agent, host } = target;
  return { verdict, reason, host: hostText(host), port, agent, rule: ruleItem(rule), would_deny: wouldDeny };
}

export const sentenceOf = (reason: Reason) => REASONS[reason];
