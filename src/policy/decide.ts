/**
 * The decision about one connection, a pure function of the policy, the target and the moment. Killed beats
 * deny, deny beats allow and grants, those beat the mode's default. It always answers, and a target that is
 * not what it should be is refused.
 */
import type { Address } from '../names/address.ts';
import { type AddressClass, classOf } from '../names/addressclass.ts';
import { embeddedIn } from '../names/embedded.ts';
import { type Host, isSpecialName } from '../names/host.ts';
import { parseRange, type Range, rangeContains } from '../names/range.ts';
import type { Decision, Grant, Rule, Target } from './decision.ts';
import { type Found, findAddress, findAny, findName } from './lookup.ts';
import { patternOf } from './pattern.ts';
import type { Policy } from './policy.ts';
import type { Reason } from './reason.ts';
import { isAny, type RuleTable, ruleAt, shapeOf, untilOf } from './table.ts';

/** What else a decision depends on. */
export interface Moment {
  /** Wall time, milliseconds since the Unix epoch. */
  now: number;
  /** Whether the kill switch holds for the agent. */
  killed: boolean;
  grants: readonly Grant[];
}

/** The nearer a rule came to allowing, the later it stands: the reason that helps most wins. */
const MISSES = ['no-rule', 'agent', 'special-name', 'port', 'expired'] as const satisfies readonly Reason[];
const [NO_RULE, AGENT, SPECIAL_NAME, PORT, EXPIRED] = [0, 1, 2, 3, 4] as const;

const NO_RULES: readonly Rule[] = Object.freeze([]);

// Scratch space of one decision, which nothing keeps: memory taken for each would be most of its time.
const FOUND: Found = { every: [], own: [], some: [] };
const ALLOWS: number[] = [];

/** Hop 3. Total: any target gets an answer, in about a microsecond whatever the number of rules. */
export function decide(policy: Policy, target: Target, at: Moment): Decision {
  if (at.killed) return refusal('killed');
  const { host, port } = target;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return refusal('malformed-port');
  const { table } = policy;
  const agent = policy.agents.get(target.agent);
  const found = emptied(FOUND);
  if (!findRules(table, host, agent?.number ?? 0, found)) return refusal('malformed-host');

  let denial = -1;
  let miss = NO_RULE as number;
  let allows = 0;
  const { every, own } = found;
  const count = every.length + own.length;
  for (let i = 0; i < count; i++) {
    const inherited = i < every.length;
    const rule = inherited ? every[i]! : own[i - every.length]!;
    const { action, ports } = shapeOf(table, rule);
    const onPort = ports.length === 0 || ports.includes(port);
    const current = untilOf(table, rule) > at.now;
    if (action === 'deny') {
      if (onPort && current && (denial < 0 || rule < denial)) denial = rule;
    } else if (isAny(table, rule) && !anyHolds(host)) {
      if (host.kind === 'name') miss = Math.max(miss, SPECIAL_NAME);
    } else if (inherited && agent?.inherit === false) miss = Math.max(miss, AGENT);
    else if (!onPort) miss = Math.max(miss, PORT);
    else if (!current) miss = Math.max(miss, EXPIRED);
    else ALLOWS[allows++] = rule;
  }
  if (denial >= 0) return refusal('denied', ruleFor(table, denial, host));
  if (allows > 0 || at.grants.length > 0) {
    const allowedBy = allowing(table, host, allows);
    for (const grant of at.grants) if (grantHolds(grant, target, at.now)) allowedBy.push(grant);
    if (allowedBy.length > 0)
      return { verdict: 'allow', reason: 'rule', rule: allowedBy[0]!, allowedBy, wouldDeny: false };
  }
  if (policy.mode === 'observe')
    return { verdict: 'allow', reason: 'observed', rule: null, allowedBy: NO_RULES, wouldDeny: true };
  if (miss === NO_RULE && found.some.some((rule) => othersMay(table, rule, host))) miss = AGENT;
  return refusal(MISSES[miss]!);
}

/**
 * Hop 4, for one address that an allowed target leads to: null if it may be dialled. `rule`: one of the
 * decision's `allowedBy`, null in observe mode. Without `now`, denials that have ended still hold.
 */
export function judgeAddress(
  policy: Policy,
  target: Target,
  rule: Rule | null,
  address: Address,
  now = Number.NEGATIVE_INFINITY,
): { reason: Reason; detail: string } | null {
  const { table } = policy;
  const agent = policy.agents.get(target.agent);
  const found = emptied(FOUND);
  findAddressRules(table, address, agent?.number ?? 0, found);
  for (const rules of [found.every, found.own])
    for (const index of rules) {
      const { action, ports } = shapeOf(table, index);
      if (action !== 'deny' || untilOf(table, index) <= now) continue;
      if (ports.length > 0 && !ports.includes(target.port)) continue;
      return { reason: 'address-denied', detail: ruleText(ruleAt(table, index)) };
    }
  const addressClass: AddressClass = classOf(address);
  if (addressClass === 'public') return null;
  if (rule !== null && admits(rule, address)) return null;
  return { reason: 'address-refused', detail: `${addressClass} address` };
}

/** Whether a name leads to public and to other addresses at once: then none of them is to be trusted. */
export function areMixed(addresses: readonly Address[]): boolean {
  if (addresses.length < 2) return false;
  const count = addresses.filter((address) => classOf(address) === 'public').length;
  return count > 0 && count < addresses.length;
}

/** Whether the rule's `addresses` name a range that holds the address. */
export function admits(rule: Rule, address: Address): boolean {
  return rangesIn(rule.addresses).some((range) => rangeContains(range, address));
}

/** By the list that a rule's shape holds, which is never changed. */
const RANGES = new WeakMap<readonly string[], readonly Range[]>();

function rangesIn(addresses: readonly string[]): readonly Range[] {
  let ranges = RANGES.get(addresses);
  if (ranges === undefined) {
    ranges = addresses.map(parseRange).filter((range) => range !== null);
    RANGES.set(addresses, ranges);
  }
  return ranges;
}

/**
 * Where a rule stands, in a few words: `egress.yaml:12`, `preset default`. The machine-wide file has the same name as
 * the person's own, so files of the system keep their folder.
 */
export function ruleText({ source }: Rule): string {
  if (source.kind === 'preset') return `preset ${source.preset}`;
  const { file, line } = source;
  return `${file.startsWith('/etc/') ? file : file.slice(file.lastIndexOf('/') + 1)}:${line}`;
}

function emptied(found: Found): Found {
  found.every.length = 0;
  found.own.length = 0;
  found.some.length = 0;
  return found;
}

/** The first `count` of `ALLOWS`, in policy order. */
function allowing(table: RuleTable, host: Host, count: number): Rule[] {
  if (count === 1) return [ruleFor(table, ALLOWS[0]!, host)];
  const rules = ALLOWS.slice(0, count).sort((a, b) => a - b);
  return rules.map((rule) => ruleFor(table, rule, host));
}

/** Adds what concerns the host to `found`; false if it is not canonical. */
function findRules(table: RuleTable, host: Host, agent: number, found: Found): boolean {
  if (host.kind === 'name') return findName(table, host.name, agent, found);
  findAddressRules(table, host.address, agent, found);
  findAny(table, agent, found);
  return true;
}

/** An address that embeds others (NAT64, 6to4) leads to them, so their denials hold for it; their allows do not. */
function findAddressRules(table: RuleTable, address: Address, agent: number, found: Found): void {
  findAddress(table, address.bytes, agent, found);
  const embedded = embeddedIn(address);
  if (embedded === null) return;
  const inner: Found = { every: [], own: [], some: [] };
  for (const { bytes } of embedded.addresses) findAddress(table, bytes, agent, inner);
  const denies = (rule: number) => shapeOf(table, rule).action === 'deny';
  found.every.push(...inner.every.filter(denies));
  found.own.push(...inner.own.filter(denies));
}

/** Whether `*` as an allow rule stands for the host: never for an address or a special name. */
function anyHolds(host: Host): boolean {
  return host.kind === 'name' && !isSpecialName(host.name);
}

/** Whether this rule, which is for some agents only, allows the host to other agents. */
function othersMay(table: RuleTable, rule: number, host: Host): boolean {
  return shapeOf(table, rule).action === 'allow' && (!isAny(table, rule) || anyHolds(host));
}

function ruleFor(table: RuleTable, rule: number, host: Host): Rule {
  return ruleAt(table, rule, host.kind === 'name' ? host.name : null);
}

function grantHolds(grant: Grant, { agent, host, port }: Target, now: number): boolean {
  if (grant.until <= now || !grant.ports.includes(port)) return false;
  if (grant.agents.length > 0 && !grant.agents.includes(agent)) return false;
  const pattern = patternOf(grant.host);
  if (pattern.kind === 'range') return host.kind === 'address' && rangeContains(pattern.range, host.address);
  if (host.kind === 'address') return false;
  if (pattern.kind === 'any') return anyHolds(host);
  return pattern.kind === 'name' ? host.name === pattern.name : host.name.endsWith(`.${pattern.name}`);
}

function refusal(reason: Reason, rule: Rule | null = null): Decision {
  return { verdict: 'deny', reason, rule, allowedBy: NO_RULES, wouldDeny: false };
}
