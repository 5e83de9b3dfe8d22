/** Where what an incident tells of happened: the hosts and agents that had most of it, looked up when it is told. */
import { cover } from '../events/cover.ts';
import { matcherOf } from '../policy/alerts/match.ts';
import { type Leaf, leafKey } from './condition.ts';
import { bucketOf } from './counts.ts';
import { Fact } from './fact.ts';
import { factOf, type History, measureOf } from './history.ts';
import type { IncidentHost } from './incident.ts';
import type { Change } from './life.ts';
import { type Tally, within } from './series.ts';

const TOP_HOSTS = 5;
const TOP_AGENTS = 20;
/** Different ones that are told apart while counting. */
const MOST = 20_000;

/** `at`: up to when it is counted; `now`: wall time, which says how exactly the store still knows. */
export function describe(
  { kind, incident, tell, about }: Change,
  history: History,
  at: number,
  now: number,
): void {
  if (about === null || (kind === 'counted' && tell === null)) return;
  const { leaf, parts } = about;
  const hosts = new Map<string, IncidentHost>();
  const agents = new Map<string, number>();
  const add = (agent: string | undefined, host: string | null, reason: string | null, count: number) => {
    if (agent !== undefined && (agents.size < MOST || agents.has(agent)))
      agents.set(agent, (agents.get(agent) ?? 0) + count);
    if (host === null) return;
    const known = hosts.get(host);
    if (known !== undefined) {
      known.count += count;
      known.reason = reason ?? known.reason;
    } else if (hosts.size < MOST) hosts.set(host, { host, count, reason });
  };
  const tallies = talliesOf(leaf, parts);
  if (leaf.series.measure === 'findings') {
    for (const tally of tallies) {
      if (tally.findings === null || within(tally, at, leaf.window) === 0) continue;
      for (const [host, count] of tally.findings.hosts)
        add(tally.findings.last.agent ?? undefined, host, null, count);
      if (tally.findings.hosts.size === 0) add(tally.findings.last.agent ?? undefined, null, null, 1);
    }
  } else {
    const key = parts === null ? null : leafKey(leaf, parts);
    const matches = matcherOf(leaf.series.where);
    const fact = new Fact();
    for (const { span, from, to } of cover(beginOf(incident.firedAt ?? at, leaf), at + 1, now)) {
      history.totals(span, from, to, (past) => {
        const count = measureOf(past, leaf.series.measure);
        if (count <= 0 || !matches(factOf(fact, past))) return;
        if (key === null || leaf.series.keyOf(fact) === key) add(past.agent, past.host, past.reason, count);
      });
    }
  }
  const rule = latest(tallies)?.lastRule ?? null;
  if (rule !== null) incident.decidingRule = rule;
  if (agents.size > 0)
    incident.agents = top([...agents], ([, count]) => count, TOP_AGENTS).map(([agent]) => agent);
  else if (incident.group.agent !== undefined) incident.agents = [incident.group.agent];
  if (hosts.size > 0) incident.hosts = top([...hosts.values()], ({ count }) => count, TOP_HOSTS);
  else if (incident.group.host !== undefined && incident.hosts.length === 0)
    incident.hosts = [{ host: incident.group.host, count: incident.count, reason: null }];
}

/** Where the window began whose last bucket is that of `time`. */
function beginOf(time: number, { window }: Leaf): number {
  const width = bucketOf(window);
  return (Math.floor(time / width) + 1) * width - window;
}

function talliesOf({ series, parts: positions }: Leaf, parts: readonly string[] | null): Tally[] {
  if (parts === null) return [...series.tallies.values()];
  const tally = series.tallies.get(positions.map((position) => parts[position]!).join('\n'));
  return tally === undefined ? [] : [tally];
}

function latest(tallies: readonly Tally[]): Tally | null {
  let found: Tally | null = null;
  for (const tally of tallies) if (found === null || tally.lastTime > found.lastTime) found = tally;
  return found;
}

function top<T>(values: T[], countOf: (value: T) => number, most: number): T[] {
  return values.sort((a, b) => countOf(b) - countOf(a)).slice(0, most);
}
