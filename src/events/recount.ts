/**
 * Counts again, from the rows, what totals and hosts should say: rows are sealed, those are not. Only of agents no row of
 * which was evicted, and of times whose totals are sure to be there. Compared are each agent's sums by reason at every
 * span, and what was refused of each host; where an agent has hosts that are counted together (see distinct.ts), sums alone.
 */
import type { Database } from 'bun:sqlite';
import { down, surelyKept } from './cover.ts';
import { isFolded } from './distinct.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { KEPT_AT_LEAST } from './retention.ts';
import type { Cells } from './row.ts';
import { type Counts, countsOf, SPANS } from './totals.ts';

export interface Recount {
  add(agent: string, cells: Cells): void;
  /** The first difference, for a person; null where there is none. `isWhole`: no row of that agent was evicted. */
  compare(db: Database, isWhole: (agent: string) => boolean): string | null;
}

/** Of one agent and reason in one stretch of time. */
interface Sum {
  span: number;
  start: number;
  agent: string;
  reason: string;
  counts: Counts;
}
type Sums = Map<string, Sum>;

interface Refused {
  agent: string;
  name: string;
  count: number;
  first: number;
  last: number;
}

const WIDTHS = Object.values(SPANS);

export function createRecount(now: number): Recount {
  const kept = surelyKept(now);
  const long = now - DEFAULT_LIMITS.age + KEPT_AT_LEAST;
  const since: Record<number, number> = {
    [SPANS.second]: kept.second,
    [SPANS.minute]: kept.minute,
    [SPANS.hour]: long,
    [SPANS.quarterDay]: long,
  };
  /** Each row in the narrowest span that is compared; the others follow from it. */
  const narrow: Sums = new Map();
  const refused = new Map<string, Refused>();

  const isCompared = (span: number, start: number) => start >= since[span]!;
  const expectedSums = (): Sums => {
    const sums: Sums = new Map();
    for (const { span, start, ...rest } of narrow.values())
      for (const wide of WIDTHS)
        if (wide >= span && isCompared(wide, down(start, wide)))
          add(sums, { ...rest, span: wide, start: down(start, wide) });
    return sums;
  };

  return {
    add(agent, cells) {
      if (cells.kind === 'notice' || cells.kind === 'progress') return;
      const time = cells.time as number;
      const counts = countsOf(cells);
      const span = WIDTHS.find((width) => time >= since[width]!) ?? SPANS.quarterDay;
      add(narrow, { span, start: down(time, span), agent, reason: (cells.reason as string) ?? '', counts });
      if (counts.blocked === 0) return;
      const name = cells.host as string;
      const key = `${name} ${agent}`;
      const host = refused.get(key) ?? { agent, name, count: 0, first: time, last: time };
      refused.set(key, host);
      if (isCompared(SPANS.quarterDay, down(time, SPANS.quarterDay))) host.count += counts.blocked;
      host.first = Math.min(host.first, time);
      host.last = Math.max(host.last, time);
    },
    compare(db, isWhole) {
      const hosts = hostsOf(db);
      const sums: Sums = new Map();
      const totals = db.query(`
        SELECT span, start, host, reason, requests, allowed, blocked, failed, questions, bytes_up, bytes_down
        FROM total WHERE span = ? AND start >= ?`);
      for (const width of WIDTHS) {
        for (const [span, start, id, reason, ...cells] of totals.values(width, since[width]!) as TotalRow[]) {
          const host = hosts.get(id);
          if (host === undefined) continue;
          const counts = countsFrom(cells);
          add(sums, { span, start, agent: host.agent, reason, counts });
          if (span === SPANS.quarterDay) host.count += counts.blocked;
        }
      }
      return sumProblem(expectedSums(), sums, isWhole) ?? hostProblem(refused, hosts, isWhole, long);
    },
  };
}

function sumProblem(expected: Sums, found: Sums, isWhole: (agent: string) => boolean): string | null {
  for (const key of new Set([...expected.keys(), ...found.keys()])) {
    const { agent, span, start } = (expected.get(key) ?? found.get(key))!;
    if (!isWhole(agent) || isEqual(expected.get(key)?.counts, found.get(key)?.counts)) continue;
    const time = new Date(start).toISOString();
    return `what was counted for agent ${JSON.stringify(agent)} in the ${span / 1_000} seconds from ${time} does not agree with the rows`;
  }
  return null;
}

interface Host {
  agent: string;
  name: string;
  first: number | null;
  last: number | null;
  count: number;
}
type TotalRow = [span: number, start: number, host: number, reason: string, ...counts: number[]];

function hostsOf(db: Database): Map<number, Host> {
  const query = db.query('SELECT id, agent, name, first_blocked, last_blocked FROM host');
  const rows = query.values() as [number, string, string, number | null, number | null][];
  return new Map(rows.map(([id, agent, name, first, last]) => [id, { agent, name, first, last, count: 0 }]));
}

/** `long`: hosts that were last seen before it may be forgotten. */
function hostProblem(
  refused: ReadonlyMap<string, Refused>,
  hosts: ReadonlyMap<number, Host>,
  isWhole: (agent: string) => boolean,
  long: number,
): string | null {
  const folded = new Set([...hosts.values()].filter(({ name }) => isFolded(name)).map(({ agent }) => agent));
  const found = new Map([...hosts.values()].map((host) => [`${host.name} ${host.agent}`, host]));
  for (const key of new Set([...refused.keys(), ...found.keys()])) {
    const expected = refused.get(key);
    const host = found.get(key);
    const { agent, name } = (expected ?? host)!;
    if (!isWhole(agent) || folded.has(agent)) continue;
    if (host === undefined && expected!.last < long) continue;
    const isBetween = (time: number | null | undefined) =>
      expected === undefined
        ? time === null
        : time != null &&
          time >= down(expected.first, SPANS.second) &&
          time <= down(expected.last, SPANS.second) + SPANS.second;
    if (
      host !== undefined &&
      host.count === (expected?.count ?? 0) &&
      isBetween(host.first) &&
      isBetween(host.last)
    )
      continue;
    return `what is kept of the host ${JSON.stringify(name)} for agent ${JSON.stringify(agent)} does not agree with the rows`;
  }
  return null;
}

function add(sums: Sums, sum: Sum): void {
  const key = `${sum.span} ${sum.start} ${sum.reason} ${sum.agent}`;
  const found = sums.get(key);
  if (found === undefined) {
    sums.set(key, { ...sum, counts: { ...sum.counts } });
    return;
  }
  for (const name of NAMES) found.counts[name] += sum.counts[name];
}

const NAMES = ['requests', 'allowed', 'blocked', 'failed', 'questions', 'bytesUp', 'bytesDown'] as const;

function countsFrom(values: readonly number[]): Counts {
  return Object.fromEntries(NAMES.map((name, i) => [name, values[i]!])) as unknown as Counts;
}

/** None is the same as nothing counted. */
function isEqual(a: Counts | undefined, b: Counts | undefined): boolean {
  return NAMES.every((name) => (a?.[name] ?? 0) === (b?.[name] ?? 0));
}
