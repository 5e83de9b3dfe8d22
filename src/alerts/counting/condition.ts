/**
 * A rule's condition over series: which tallies its parts look at, and what they say of one group. An answer is yes,
 * no or unknown (null): where nobody watched, a low count is no silence. Unknown neither fires an alert nor lets a
 * silence begin; an alert that is firing goes by what was counted.
 */
import type { Condition, Group, Operator, Threshold, Value } from '../../policy/alerts/condition.ts';
import type { SharedRule } from '../recipient.ts';
import type { Measure } from './fact.ts';
import { nextLeaving, type Series, type Tally, within } from './series.ts';

/** How long a single request or finding keeps a condition true, milliseconds. */
export const HOLD = 300_000;

export type Truth = boolean | null;

/** What a leaf needs from around it. */
export interface Surroundings {
  /** Up to when, in the window before `at`, nobody watched (this agent, or all); null: it was watched throughout. */
  missedUntil(at: number, window: number, agent: string | null): number | null;
  /** What is usual in such a window at this hour of the week. */
  usual(leaf: Leaf, key: string, at: number): number;
}

export interface Leaf {
  series: Series;
  op: Operator;
  value: Value;
  window: number;
  /** The agent that it is about, where it is one. */
  agent: string | null;
  /** Position in the group's parts of each part of the series' key. */
  parts: readonly number[];
}

export type Tree =
  | { kind: 'leaf'; leaf: Leaf }
  | { kind: 'and' | 'or'; of: readonly Tree[] }
  | { kind: 'not'; of: Tree };

export interface CompiledRule {
  rule: SharedRule;
  tree: Tree;
  leaves: readonly Leaf[];
  /** What is told apart: one incident for each. */
  by: readonly Group[];
  /** Whether it can begin to hold because time passes and nothing happens. */
  decays: boolean;
}

/** Below this, nothing is compared with a baseline: what is usual counts as no less. */
export const FLOORS: Record<Measure, number> = {
  blocked_requests: 20,
  allowed_requests: 20,
  failed_requests: 20,
  new_blocked_domains: 5,
  dns_queries: 50,
  bytes_up: 10_000_000,
  bytes_down: 10_000_000,
  requests: 20,
  findings: 1,
};

/** `seriesOf` answers the one series for such a leaf. */
export function compileRule(
  rule: SharedRule,
  seriesOf: (
    measure: Measure,
    where: Threshold['where'],
    by: readonly Group[],
    detector: string | null,
  ) => Series,
): CompiledRule {
  const by = groupsOf(rule.condition);
  const leaves: Leaf[] = [];
  const leafOf = (series: Series, op: Operator, value: Value, window: number): Tree => {
    const filter = series.where.find(({ field }) => field === 'agent');
    const agent = filter?.values.length === 1 ? filter.values[0]! : null;
    const parts = series.by.map((group) => by.indexOf(group));
    const leaf: Leaf = { series, op, value, window, agent, parts };
    series.remember(window);
    leaves.push(leaf);
    return { kind: 'leaf', leaf };
  };
  const anything: Value = { kind: 'number', number: 0 };
  const compile = (condition: Condition): Tree => {
    switch (condition.kind) {
      case 'threshold': {
        const { metric, where, per, op, value, window } = condition;
        return leafOf(seriesOf(metric, where, per === null ? [] : [per], null), op, value, window);
      }
      case 'domain': {
        const patterns = { field: 'domain', test: 'matches', values: condition.patterns } as const;
        const series = seriesOf('requests', [...condition.where, patterns], by, null);
        return leafOf(series, '>', anything, HOLD);
      }
      case 'detector': {
        const told = by.filter((group) => group !== 'domain');
        return leafOf(seriesOf('findings', condition.where, told, condition.name), '>', anything, HOLD);
      }
      case 'not':
        return { kind: 'not', of: compile(condition.of) };
      default:
        return { kind: condition.kind, of: condition.of.map(compile) };
    }
  };
  const tree = compile(rule.condition);
  // Where no part tells all groups apart (per agent here, per host there), requests say which belong together.
  if (leaves.every(({ parts }) => parts.length < by.length))
    leafOf(seriesOf('requests', [], by, null), '>', anything, longestOf(leaves));
  return { rule, tree, leaves, by, decays: canBegin(tree, false) };
}

function longestOf(leaves: readonly Leaf[]): number {
  return Math.max(...leaves.map(({ window }) => window));
}

/** What its numbers are counted for; findings alone are told apart by agent and host. */
function groupsOf(condition: Condition): Group[] {
  const pers = new Set<Group>();
  let hasNumbers = false;
  let hasFindings = false;
  const look = (part: Condition): void => {
    if (part.kind === 'threshold') {
      hasNumbers = true;
      if (part.per !== null) pers.add(part.per);
    } else if (part.kind === 'detector') hasFindings = true;
    else if (part.kind === 'not') look(part.of);
    else if (part.kind !== 'domain') for (const each of part.of) look(each);
  };
  look(condition);
  if (hasNumbers) return (['agent', 'host', 'domain'] as const).filter((group) => pers.has(group));
  return hasFindings && condition.kind === 'detector' ? ['agent', 'host'] : hasFindings ? ['agent'] : [];
}

const RISING: ReadonlySet<Operator> = new Set(['>', '>=']);

function canBegin(tree: Tree, isDenied: boolean): boolean {
  if (tree.kind === 'not') return canBegin(tree.of, !isDenied);
  if (tree.kind !== 'leaf') return tree.of.some((part) => canBegin(part, isDenied));
  const { op } = tree.leaf;
  return op === '==' || op === '!=' || RISING.has(op) === isDenied;
}

/** A group's parts as one key, and back. */
export function keyOfParts(parts: readonly string[]): string {
  return parts.join('\n');
}

export function tallyOf(leaf: Leaf, parts: readonly string[]): Tally | undefined {
  return leaf.series.tallies.get(leafKey(leaf, parts));
}

export function leafKey({ parts: positions }: Leaf, parts: readonly string[]): string {
  if (positions.length === 0) return '';
  return positions.length === 1
    ? parts[positions[0]!]!
    : positions.map((position) => parts[position]!).join('\n');
}

/** What the leaf measures in this group, and what it is held against. */
export function measure(
  leaf: Leaf,
  parts: readonly string[],
  at: number,
  around: Surroundings,
): { value: number; limit: number | null } {
  const tally = tallyOf(leaf, parts);
  const value = tally === undefined ? 0 : within(tally, at, leaf.window);
  if (leaf.value.kind === 'number') return { value, limit: leaf.value.number };
  const { factor } = leaf.value;
  const floor = FLOORS[leaf.series.measure];
  const isRising = RISING.has(leaf.op);
  // What is usual is looked up only where it can matter.
  if (isRising && value <= factor * floor) return { value, limit: factor * floor };
  const usual = around.usual(leaf, leafKey(leaf, parts), at);
  if (usual >= floor) return { value, limit: factor * usual };
  return { value, limit: isRising ? factor * floor : null };
}

/** `isKnown`: goes by what was counted, as if somebody had watched all the time. */
export function truthOf(
  tree: Tree,
  parts: readonly string[],
  at: number,
  around: Surroundings,
  isKnown: boolean,
): Truth {
  if (tree.kind === 'leaf') return leafTruth(tree.leaf, parts, at, around, isKnown);
  if (tree.kind === 'not') {
    const inner = truthOf(tree.of, parts, at, around, isKnown);
    return inner === null ? null : !inner;
  }
  // One `false` decides an `and`, one `true` an `or`.
  const deciding = tree.kind === 'or';
  let truth: Truth = !deciding;
  for (const part of tree.of) {
    const each = truthOf(part, parts, at, around, isKnown);
    if (each === deciding) return deciding;
    if (each === null) truth = null;
  }
  return truth;
}

function leafTruth(
  leaf: Leaf,
  parts: readonly string[],
  at: number,
  around: Surroundings,
  isKnown: boolean,
): Truth {
  const { value, limit } = measure(leaf, parts, at, around);
  if (limit === null) return isKnown ? false : null;
  const { op } = leaf;
  const counted = compare(value, op, limit);
  if (isKnown) return counted;
  // More may have happened than was counted, never less.
  const isCertain = op === '>' || op === '>=' ? counted : value > limit || (op === '<' && value === limit);
  if (isCertain) return counted;
  return around.missedUntil(at, leaf.window, agentOf(leaf, parts)) === null ? counted : null;
}

/** Whether what was counted is as the leaf says. */
export function holds(leaf: Leaf, parts: readonly string[], at: number, around: Surroundings): boolean {
  return leafTruth(leaf, parts, at, around, true) === true;
}

function compare(value: number, op: Operator, limit: number): boolean {
  switch (op) {
    case '>':
      return value > limit;
    case '>=':
      return value >= limit;
    case '<':
      return value < limit;
    case '<=':
      return value <= limit;
    case '==':
      return value === limit;
    case '!=':
      return value !== limit;
  }
}

function agentOf(leaf: Leaf, parts: readonly string[]): string | null {
  const position = leaf.series.by.indexOf('agent');
  return position < 0 ? leaf.agent : parts[leaf.parts[position]!]!;
}

/** When, though nothing happens, the answer may be another one. */
export function nextChange(
  { leaves }: CompiledRule,
  parts: readonly string[],
  at: number,
  around: Surroundings,
): number {
  let next = Number.POSITIVE_INFINITY;
  for (const leaf of leaves) {
    const tally = tallyOf(leaf, parts);
    if (tally !== undefined) next = Math.min(next, nextLeaving(tally, at, leaf.window));
    const missed = around.missedUntil(at, leaf.window, agentOf(leaf, parts));
    if (missed !== null) next = Math.min(next, missed + leaf.window + 1);
  }
  return next;
}
