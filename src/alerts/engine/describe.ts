/** Where what incidents tell of happened: the hosts and agents that had most of it, looked up when it is told. */
import { cover } from '../../events/cover.ts';
import { SPANS } from '../../events/totals.ts';
import { type Leaf, leafKey } from '../counting/condition.ts';
import { bucketOf } from '../counting/counts.ts';
import { Fact } from '../counting/fact.ts';
import { factOf, type History, measureOf } from '../counting/history.ts';
import type { Rulebook } from '../counting/rulebook.ts';
import { type Series, type Tally, within } from '../counting/series.ts';
import type { Incident, IncidentHost } from '../incident.ts';
import type { Change } from './life.ts';

const TOP_HOSTS = 5;
const TOP_AGENTS = 20;
/** Different ones that are told apart while counting. */
const MOST = 20_000;

/** One incident whose hosts and agents are looked for. */
class Subject {
  readonly hosts = new Map<string, IncidentHost>();
  readonly agents = new Map<string, number>();
  readonly begin: number;
  readonly key: string | null;

  constructor(
    readonly incident: Incident,
    readonly leaf: Leaf,
    readonly parts: readonly string[] | null,
    at: number,
  ) {
    const width = bucketOf(leaf.window);
    // Where the window began in which it fired.
    this.begin = (Math.floor((incident.firedAt ?? at) / width) + 1) * width - leaf.window;
    this.key = parts === null ? null : leafKey(leaf, parts);
  }

  add(agent: string | null, host: string | null, reason: string | null, count: number): void {
    const { agents, hosts } = this;
    if (agent !== null && (agents.size < MOST || agents.has(agent)))
      agents.set(agent, (agents.get(agent) ?? 0) + count);
    if (host === null) return;
    const known = hosts.get(host);
    if (known !== undefined) {
      known.count += count;
      known.reason = reason ?? known.reason;
    } else if (hosts.size < MOST) hosts.set(host, { host, count, reason });
  }

  tell(at: number): void {
    const { incident, agents, hosts } = this;
    const tallies = talliesOf(this.leaf, this.parts);
    if (this.leaf.series.measure === 'findings') this.#addFindings(tallies, at);
    const rule = latest(tallies)?.lastRule ?? null;
    if (rule !== null) incident.decidingRule = rule;
    const { agent, host } = incident.group;
    if (agents.size > 0)
      incident.agents = top([...agents], ([, count]) => count, TOP_AGENTS).map(([name]) => name);
    else if (agent !== undefined) incident.agents = [agent];
    if (hosts.size > 0) incident.hosts = top([...hosts.values()], ({ count }) => count, TOP_HOSTS);
    else if (host !== undefined && incident.hosts.length === 0)
      incident.hosts = [{ host, count: incident.count, reason: null }];
  }

  #addFindings(tallies: readonly Tally[], at: number): void {
    for (const tally of tallies) {
      if (tally.findings === null || within(tally, at, this.leaf.window) === 0) continue;
      const { last, hosts } = tally.findings;
      for (const [host, count] of hosts) this.add(last.agent, host, null, count);
      if (hosts.size === 0) this.add(last.agent, null, null, 1);
    }
  }
}

/**
 * Completes the incidents that are told, all in one pass over the totals of their time. `at`: up to when it is
 * counted; `now`: wall time, which says how exactly the store still knows.
 */
export function describe(
  changes: readonly Change[],
  rulebook: Rulebook,
  history: History,
  at: number,
  now: number,
): void {
  const together = new Map<string, Subject[]>();
  for (const { kind, incident, tell, about } of changes) {
    if (about === null || (kind === 'counted' && tell === null)) continue;
    const subject = new Subject(incident, about.leaf, about.parts, at);
    const minute = Math.floor((incident.firedAt ?? at) / 60_000);
    const key = about.leaf.series.measure === 'findings' ? '' : `${about.leaf.window} ${minute}`;
    const others = together.get(key);
    if (others === undefined) together.set(key, [subject]);
    else others.push(subject);
  }
  for (const [key, subjects] of together) {
    if (key !== '') lookUp(subjects, rulebook, history, at, now);
    for (const subject of subjects) subject.tell(at);
  }
}

function lookUp(
  subjects: readonly Subject[],
  rulebook: Rulebook,
  history: History,
  at: number,
  now: number,
): void {
  const bySeries = new Map<Series, Subject[]>();
  for (const subject of subjects) {
    const { series } = subject.leaf;
    const others = bySeries.get(series);
    if (others === undefined) bySeries.set(series, [subject]);
    else others.push(subject);
  }
  const measures = new Set(subjects.map(({ leaf }) => leaf.series.measure));
  const begin = Math.min(...subjects.map((subject) => subject.begin));
  const fact = new Fact();
  for (const { span, from, to } of cover(begin, at + 1, now, history.firstTotal(SPANS.minute))) {
    history.totals(span, from, to, (past) => {
      factOf(fact, past);
      for (const measure of measures) {
        const count = measureOf(past, measure);
        if (count <= 0) continue;
        rulebook.routes[measure]?.find(fact.again(), (series) => {
          const key = series.keyOf(fact);
          for (const subject of bySeries.get(series) ?? []) {
            if (past.start + span <= subject.begin || (subject.key !== null && subject.key !== key)) continue;
            subject.add(past.agent, past.host, past.reason, count);
          }
        });
      }
    });
  }
}

function talliesOf(leaf: Leaf, parts: readonly string[] | null): Tally[] {
  if (parts === null) return [...leaf.series.tallies.values()];
  const tally = leaf.series.tallies.get(leafKey(leaf, parts));
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
