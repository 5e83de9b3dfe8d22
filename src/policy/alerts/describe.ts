/** A condition in words, so that whoever wrote it sees what it means. */
import { formatDuration } from '../../base/duration.ts';
import type { Condition, DetectorName, Filter, Metric, Operator, Threshold } from './condition.ts';
import { valueText } from './print.ts';

const METRICS: Readonly<Record<Metric, string>> = {
  blocked_requests: 'requests that were blocked',
  allowed_requests: 'requests that were allowed',
  failed_requests: 'requests that were allowed and reached nobody',
  new_blocked_domains: 'domains that were blocked for the first time',
  dns_queries: 'names that were asked for',
  bytes_up: 'data sent',
  bytes_down: 'data received',
};

const OPERATORS: Readonly<Record<Operator, string>> = {
  '>': 'more than',
  '>=': 'at least',
  '<': 'less than',
  '<=': 'at most',
  '==': 'exactly',
  '!=': 'anything but',
};

const DETECTORS: Readonly<Record<DetectorName, string>> = {
  lookalike: 'somebody asks for a host that imitates an allowed one',
  risky_tld: 'somebody asks for a host below a top-level domain that is known for abuse',
  dns_tunnel: 'the names that are asked for look as if they carried data',
  unusual_upload: 'much more is sent than is usual',
  unexpected_agent: 'an agent appears that is not known, or where only others go',
  first_contact: 'an agent reaches a host that it never reached before',
  policy_rejected: 'a changed policy does not parse, and the one before it stays in force',
  killed: 'the kill switch is used',
  gateway_restarted: 'a gateway, or a part of one, is restarted',
  store_failing: 'what happens cannot be recorded',
  fence_broken: 'the check of a fence fails',
};

/** Follows `Fires when`. */
export function describeCondition(condition: Condition): string {
  switch (condition.kind) {
    case 'threshold':
      return thresholdText(condition);
    case 'domain':
      return `somebody asks for a host that matches ${listText(condition.patterns)}, allowed or not${whereText(condition.where)}`;
    case 'detector':
      return `${DETECTORS[condition.name]}${whereText(condition.where)}`;
    case 'not':
      return `it is not so that ${inner(condition.of)}`;
    case 'and':
      return condition.of.map(inner).join(', and at the same time ');
    case 'or':
      return condition.of.map(inner).join(', or ');
  }
}

const inner = (condition: Condition): string =>
  condition.kind === 'and' || condition.kind === 'or'
    ? `(${describeCondition(condition)})`
    : describeCondition(condition);

function thresholdText({ metric, op, value, window, per, where }: Threshold): string {
  const within = `within ${durationWords(window)}`;
  const whose = per === null ? 'in all' : `for any one ${per}`;
  if (value.kind === 'baseline')
    return `${METRICS[metric]} ${within}, counted ${whose}, come to ${OPERATORS[op]} ${value.factor} times what is usual there at this hour of the week${whereText(where)}`;
  return `${METRICS[metric]} ${within}, counted ${whose}, come to ${OPERATORS[op]} ${valueText(metric, value)}${whereText(where)}`;
}

/** `5 minutes`; sums as `formatDuration` has them. */
function durationWords(milliseconds: number): string {
  for (const [unit, size] of UNITS)
    if (milliseconds % size === 0) {
      const count = milliseconds / size;
      return `${count} ${unit}${count === 1 ? '' : 's'}`;
    }
  return formatDuration(milliseconds);
}

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
] as const;

function whereText(filters: readonly Filter[]): string {
  if (filters.length === 0) return '';
  const parts = filters.map(
    ({ field, test, values }) => `the ${field} ${test === 'equals' ? 'is' : 'matches'} ${listText(values)}`,
  );
  return `, counting only where ${parts.join(' and ')}`;
}

/** `a`, `a or b`, `a, b or c`. */
function listText(values: readonly string[]): string {
  return values.length < 2 ? values.join('') : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}
