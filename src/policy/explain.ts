/** Why a target is answered as it is, hop by hop, and what would change that. For people; never on the data path. */
import { formatSize } from '../base/size.ts';
import { classOf } from '../names/addressclass.ts';
import { authority, hostText } from '../names/host.ts';
import { rangeContains, rangeText } from '../names/range.ts';
import { answerFor, knownAddresses } from './answer.ts';
import { type Change, changeFor } from './change.ts';
import { type Moment, ruleText } from './decide.ts';
import type { Decision, Rule, Target } from './decision.ts';
import { patternOf } from './pattern.ts';
import { agentLimitsOf, fromOf, type Policy, rulesOf } from './policy.ts';
import { REASONS, type Reason } from './reason.ts';
import { optionsText } from './ruleoptions.ts';

export interface Hop {
  number: 1 | 2 | 3 | 4 | 5;
  name: 'accept' | 'target' | 'decide' | 'dial' | 'relay';
  text: string;
}

/** An allow rule that looks as if it should hold, and why it does not. */
export interface NearMiss {
  rule: Rule;
  why: string;
}

export interface Explanation extends Decision {
  hops: readonly Hop[];
  nearMisses: readonly NearMiss[];
  change: Change;
}

const MOST_NEAR_MISSES = 10;

export function explain(policy: Policy, target: Target, at: Moment): Explanation {
  const answer = answerFor(policy, target, at);
  return {
    ...answer,
    hops: hopsOf(policy, target, answer),
    nearMisses: answer.verdict === 'allow' ? [] : nearMisses(policy, target, at.now),
    change: changeFor(policy, target, answer),
  };
}

function hopsOf(policy: Policy, target: Target, answer: Decision): Hop[] {
  const { agent, host, port } = target;
  const reached = answer.verdict === 'allow';
  return [
    { number: 1, name: 'accept', text: acceptText(policy, agent) },
    { number: 2, name: 'target', text: `${host.kind} ${authority(host, port)}` },
    { number: 3, name: 'decide', text: decideText(answer) },
    { number: 4, name: 'dial', text: dialText(policy, target, answer) },
    { number: 5, name: 'relay', text: reached ? relayText(target, answer.rule) : 'not reached' },
  ];
}

function acceptText(policy: Policy, agent: string): string {
  const parts = [`agent ${agent === '' ? 'unnamed' : agent}`];
  const from = fromOf(policy).filter((origin) => origin.agent === agent);
  if (from.length > 0)
    parts.push(`known by coming from ${from.map(({ range }) => rangeText(range)).join(', ')}`);
  const { bytesUpPerDay } = agentLimitsOf(policy, agent);
  if (bytesUpPerDay < Number.POSITIVE_INFINITY) parts.push(`at most ${formatSize(bytesUpPerDay)}/day up`);
  if (policy.agents.get(agent)?.inherit === false) parts.push('only the rules of its own section allow');
  return parts.join('; ');
}

function decideText({ verdict, reason, rule }: Decision): string {
  const where = rule === null ? '' : `: ${rule.action} ${rule.host} (${ruleText(rule)})`;
  // A refusal in hop 4 follows an allowed hop 3.
  if (verdict === 'allow' || isOfHop4(reason)) return `allowed${where}`;
  return `refused, ${REASONS[reason]}${where}`;
}

const isOfHop4 = (reason: Reason) =>
  reason === 'address-refused' || reason === 'address-denied' || reason === 'addresses-mixed';

function dialText(policy: Policy, target: Target, { verdict, reason, rule }: Decision): string {
  const addresses = knownAddresses(policy, target);
  if (isOfHop4(reason)) {
    const found = addresses.map((address) => `${address.text} (${classOf(address)})`).join(', ');
    return `refused, ${REASONS[reason]}: ${found}`;
  }
  if (verdict !== 'allow') return 'not reached';
  if (addresses.length > 0) return `connects to ${addresses.map((address) => address.text).join(', ')}`;
  const more =
    rule === null || rule.addresses.length === 0 ? '' : `, and those in ${rule.addresses.join(', ')}`;
  return `resolves ${hostText(target.host)} by ${policy.upstream} and admits public addresses${more}`;
}

function relayText({ host, port }: Target, rule: Rule | null): string {
  const name = host.kind === 'name' ? host.name : 'the address, or none';
  const tls = {
    sni: `a ClientHello in the clear must name ${name}`,
    ech: `a ClientHello must name ${name}, and may hide another name (tls: ech)`,
    any: `a ClientHello may name no server (tls: any); if it names one, ${name}`,
  }[rule?.tls ?? 'sni'];
  const options = rule === null ? '' : optionsText(rule);
  const more = options === '' ? '' : `; ${options}`;
  if (port === 443) return `TLS: ${tls}${more}`;
  if (port === 80) return `HTTP: the Host of every request must be ${hostText(host)}${more}`;
  return `any protocol; where TLS or HTTP is spoken its name must be ${hostText(host)}${more}`;
}

function nearMisses(policy: Policy, target: Target, now: number): NearMiss[] {
  const found: NearMiss[] = [];
  for (const rule of rulesOf(policy)) {
    const why = rule.action === 'allow' ? whyNot(policy, rule, target, now) : null;
    if (why !== null && found.push({ rule, why }) === MOST_NEAR_MISSES) break;
  }
  return found;
}

/** Null for a rule that has nothing to do with the target. */
function whyNot(policy: Policy, rule: Rule, { agent, host, port }: Target, now: number): string | null {
  const pattern = patternOf(rule.host);
  const matches =
    host.kind === 'address'
      ? pattern.kind === 'range' && rangeContains(pattern.range, host.address)
      : pattern.kind === 'any' ||
        (pattern.kind === 'name' && pattern.name === host.name) ||
        (pattern.kind === 'below' && host.name.endsWith(`.${pattern.name}`));
  if (matches) {
    if (rule.until !== null && rule.until <= now) return `it ended ${new Date(rule.until).toISOString()}`;
    if (!rule.ports.includes(port)) return `it is for port ${rule.ports.join(', ')}`;
    if (rule.agents.length > 0 && !rule.agents.includes(agent)) return `it is for ${rule.agents.join(', ')}`;
    if (policy.agents.get(agent)?.inherit === false) return `${agent} inherits no rules`;
    if (pattern.kind === 'any') return '* does not cover names that lead to this machine or its network';
    return null;
  }
  if (host.kind === 'address') return null;
  if (pattern.kind === 'below' && pattern.name === host.name)
    return `it covers names below ${host.name}, not ${host.name}`;
  if (pattern.kind === 'name' && host.name.endsWith(`.${pattern.name}`))
    return `it covers ${pattern.name} alone, not names below it`;
  return null;
}
