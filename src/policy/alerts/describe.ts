/** A condition in words that go on after "Fires when". */
import { formatSize } from '../../base/size.ts';
import type {
  Condition,
  DetectorName,
  Filter,
  Group,
  Metric,
  Operator,
  Threshold,
  Value,
} from './condition.ts';
import { durationText } from './print.ts';

export function describeCondition(condition: Condition): string {
  switch (condition.kind) {
    case 'threshold':
      return thresholdText(condition);
    case 'domain':
      return `a request goes to ${patternsText('domain', condition.patterns)}, allowed or not${whereText(condition.where)}`;
    case 'detector':
      return `${FOUND[condition.name]}${whereText(condition.where)}`;
    case 'not':
      return `it is not so that ${grouped(condition.of)}`;
    default:
      return condition.of.map(grouped).join(condition.kind === 'and' ? ', and at once ' : ', or ');
  }
}

/** In parentheses where the words of several parts could run into others. */
function grouped(condition: Condition): string {
  const isOne = !('of' in condition) || condition.kind === 'not';
  return isOne ? describeCondition(condition) : `(${describeCondition(condition)})`;
}

const FOUND: Record<DetectorName, string> = {
  lookalike: 'an agent asks for a host that imitates an allowed one',
  risky_tld:
    'an agent asks for a host under a top-level name that is abused more than others, and no rule allows it',
  dns_tunnel: 'names are looked up that look like data carried in DNS questions',
  unusual_upload: 'an agent sends far more than is usual for it, and at least 50 MB, within an hour',
  unexpected_agent:
    'an agent is unknown, comes without its token, or asks for a host that is only for others or that only one other has used',
  first_contact: 'an agent is let through to a domain for the first time, after its first day',
  policy_rejected: 'a changed policy does not parse',
  killed: 'the kill switch is on',
  gateway_restarted: 'a gateway process had to be started again',
  store_failing: 'records cannot be written',
  fence_broken: 'a fence does not pass its own check',
};

/** For one, and for any other number. */
const COUNTED: Record<Metric, readonly [string, string]> = {
  blocked_requests: ['request is blocked', 'requests are blocked'],
  allowed_requests: ['request is allowed', 'requests are allowed'],
  failed_requests: ['allowed request fails', 'allowed requests fail'],
  new_blocked_domains: ['domain is blocked for the first time', 'domains are blocked for the first time'],
  dns_queries: ['DNS question is asked', 'DNS questions are asked'],
  bytes_up: ['is sent', 'is sent'],
  bytes_down: ['is received', 'is received'],
};

const COMPARED: Record<Operator, string> = {
  '>': 'more than ',
  '>=': 'at least ',
  '<': 'fewer than ',
  '<=': 'at most ',
  '==': 'exactly ',
  '!=': 'any number but ',
};

const EACH: Record<Group, string> = {
  agent: 'for one agent',
  host: 'for one host',
  domain: 'for one domain',
};

function thresholdText({ metric, op, value, window, per, where }: Threshold): string {
  const isOctets = metric === 'bytes_up' || metric === 'bytes_down';
  const compared = isOctets && op === '<' ? 'less than ' : COMPARED[op];
  const [one, many] = COUNTED[metric];
  const isOne = value.kind === 'number' && value.number === 1;
  const whose = per === null ? 'everything on this machine together' : EACH[per];
  return `${compared}${amountText(value, isOctets)} ${isOne ? one : many} within ${durationText(window)}, ${whose}${whereText(where)}`;
}

function amountText(value: Value, isOctets: boolean): string {
  if (value.kind === 'baseline') return `${value.factor} times what is usual at that hour of the week`;
  return isOctets ? formatSize(value.number) : value.number.toLocaleString('en');
}

function whereText(where: readonly Filter[]): string {
  if (where.length === 0) return '';
  return `, counting only ${where.map(filterText).join(' and ')}`;
}

function filterText({ field, test, values }: Filter): string {
  switch (field) {
    case 'agent':
      return `agent ${listed(values)}`;
    case 'reason':
      return `reason ${listed(values)}`;
    default:
      return test === 'equals' && field === 'host' ? `host ${listed(values)}` : patternsText(field, values);
  }
}

function patternsText(field: 'host' | 'domain', patterns: readonly string[]): string {
  return listed(
    patterns.map((pattern) => {
      if (pattern.startsWith('*.')) return `names below ${pattern.slice(2)}`;
      return field === 'domain' ? `${pattern} and names below it` : pattern;
    }),
  );
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}
