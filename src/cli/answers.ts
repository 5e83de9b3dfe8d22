/** Answers about targets, as commands print them. */
import { systemClock } from '../base/clock.ts';
import type { Paths } from '../base/paths.ts';
import { killFiles, killOf, readKills } from '../config/killswitch.ts';
import { hostText } from '../names/host.ts';
import { ruleText } from '../policy/decide.ts';
import type { Decision, Rule, Target } from '../policy/decision.ts';
import { REASONS, type Reason } from '../policy/reason.ts';

export const situation = (paths: Paths, agent: string) => ({
  now: systemClock.now(),
  killed: killOf(readKills(killFiles(paths)), agent) !== null,
  grants: [],
});

export function ruleItem(rule: Rule | null): object | null {
  if (rule === null) return null;
  const { until, bytesUpPerDay, ...rest } = rule;
  return {
    ...rest,
    bytes_up_per_day: bytesUpPerDay,
    until: until === null ? null : new Date(until).toISOString(),
    text: ruleText(rule),
  };
}

/** The `clawctl.egress.check/v1` document without its schema. */
export function answerItem(target: Target, answer: Decision, lookalikeOf: string | null): object {
  const { verdict, reason, rule, wouldDeny } = answer;
  const { port, agent, host } = target;
  return {
    ...{ verdict, reason, host: hostText(host), port, agent },
    ...{ rule: ruleItem(rule), would_deny: wouldDeny, lookalike_of: lookalikeOf },
  };
}

export const sentenceOf = (reason: Reason) => REASONS[reason];
