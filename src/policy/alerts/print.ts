/** A condition as text in its one canonical form: reading it gives the same condition, and printing that the same text. */
import { formatSize } from '../../base/size.ts';
import { bracketed } from '../pattern.ts';
import { isOctets } from './amount.ts';
import type { Condition, Filter, Metric, Value } from './condition.ts';

export function printCondition(condition: Condition): string {
  switch (condition.kind) {
    case 'threshold': {
      const { metric, op, value, window, per, where } = condition;
      const group = per === null ? '' : ` per ${per}`;
      return `${metric} ${op} ${valueText(metric, value)} in ${durationText(window)}${group}${whereText(where)}`;
    }
    case 'domain':
      return `domain matches ${condition.patterns.join(', ')}${whereText(condition.where)}`;
    case 'detector':
      return `${condition.name}${whereText(condition.where)}`;
    case 'not':
      return `not ${isChain(condition.of) || hasWhere(condition.of) ? inParentheses(condition.of) : printCondition(condition.of)}`;
    case 'or':
      return condition.of
        .map((part) => (part.kind === 'or' ? inParentheses(part) : printCondition(part)))
        .join(' or ');
    case 'and':
      // Behind a `where`, an `and` would go on with its filters.
      return condition.of
        .map((part) => (isChain(part) || hasWhere(part) ? inParentheses(part) : printCondition(part)))
        .join(' and ');
  }
}

const inParentheses = (condition: Condition) => `(${printCondition(condition)})`;
const isChain = ({ kind }: Condition) => kind === 'and' || kind === 'or';
const hasWhere = (condition: Condition) => 'where' in condition && condition.where.length > 0;

export function valueText(metric: Metric, value: Value): string {
  if (value.kind === 'baseline') return `${value.factor}x baseline`;
  return isOctets(metric) ? formatSize(value.number) : String(value.number);
}

const UNITS: ReadonlyArray<readonly [number, string]> = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1_000, 'second'],
];

/** The largest unit that says it exactly: `5 minutes`, `90 seconds`, `1 hour`. */
export function durationText(milliseconds: number): string {
  const [scale, unit] = UNITS.find(([scale]) => milliseconds % scale === 0) ?? [1, 'millisecond'];
  const number = milliseconds / scale;
  return `${number} ${unit}${number === 1 ? '' : 's'}`;
}

function whereText(where: readonly Filter[]): string {
  if (where.length === 0) return '';
  const parts = where.map(({ field, test, values }) => {
    const list = values.map((value) => (test === 'matches' ? bracketed(value) : value)).join(', ');
    return `${field} ${test === 'equals' ? '=' : 'matches'} ${list}`;
  });
  return ` where ${parts.join(' and ')}`;
}
