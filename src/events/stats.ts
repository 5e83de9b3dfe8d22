/** The figures of `stats`, from totals. */
import type { Database } from 'bun:sqlite';
import { coverFrom } from './cover.ts';
import type { Filter, Stats, Tally } from './queries.ts';
import { SPANS } from './totals.ts';

/** Bars of the spark line; fewer where the time asked about has fewer minutes. */
const BARS = 24;
const TOP = 10;
const MOST_NEW = 100;

/** One total: host, start, requests, allowed, blocked, failed, bytes up and down. Arrays, as there are many. */
type TotalRow = [number, number, number, number, number, number, number, number];

export function emptyStats(): Stats {
  return {
    ...emptyTally(),
    hosts: 0,
    blockedHosts: 0,
    agents: 0,
    spark: [],
    topHosts: [],
    topBlocked: [],
    newBlockedHosts: [],
    groups: [],
  };
}

export function statsOf(
  db: Database,
  filter: Filter & { by?: 'host' | 'agent' | undefined },
  now: number,
): Stats {
  const stats = emptyStats();
  stats.spark = emptySpark(filter);
  const tallies = new Map<number, Tally>();
  const query = db.query(`
    SELECT host, start, requests, allowed, blocked, failed, bytes_up, bytes_down
    FROM total WHERE span = ? AND start >= ? AND start < ?`);
  const mine = namesOf(db, filter.agent);
  for (const { span, from, to } of coverFrom(db, filter.since, filter.until, now)) {
    for (const [host, start, requests, allowed, blocked, failed, up, down] of query.values(
      span,
      from,
      to,
    ) as TotalRow[]) {
      if (!mine.has(host)) continue;
      const tally = entry(tallies, host);
      tally.requests += requests;
      tally.allowed += allowed;
      tally.blocked += blocked;
      tally.failed += failed;
      tally.bytesUp += up;
      tally.bytesDown += down;
      const bar = stats.spark[barOf(filter, stats.spark.length, start)]!;
      bar.requests += requests;
      bar.blocked += blocked;
    }
  }
  const hosts = new Map<string, Tally>();
  const agents = new Map<string, Tally>();
  for (const [id, tally] of tallies) {
    if (isEmpty(tally)) continue;
    const { name, agent } = mine.get(id)!;
    add(stats, tally);
    add(entry(hosts, name), tally);
    add(entry(agents, agent), tally);
  }
  const byHost = [...hosts].map(([name, tally]) => ({ ...tally, name }));
  const byAgent = [...agents].map(([name, tally]) => ({ ...tally, name }));
  const blocked = byHost.filter((host) => host.blocked > 0);
  stats.hosts = byHost.length;
  stats.blockedHosts = blocked.length;
  stats.agents = byAgent.length;
  stats.topHosts = top(byHost, 'requests');
  stats.topBlocked = top(blocked, 'blocked');
  stats.newBlockedHosts = newBlockedHosts(db, filter);
  if (filter.by !== undefined) {
    stats.groups = (filter.by === 'host' ? byHost : byAgent).sort((a, b) => b.requests - a.requests);
  }
  return stats;
}

/** Hosts by number, of one agent or of all. */
function namesOf(db: Database, agent: string | undefined): Map<number, { name: string; agent: string }> {
  const query = db.query(`SELECT id, name, agent FROM host ${agent === undefined ? '' : 'WHERE agent = ?'}`);
  const rows = query.values(...(agent === undefined ? [] : [agent])) as [number, string, string][];
  return new Map(rows.map(([id, name, owner]) => [id, { name, agent: owner }]));
}

/** Asked about every agent, a host is new where no agent was refused it before. */
function newBlockedHosts(db: Database, { since, until, agent }: Filter): string[] {
  const condition =
    agent === undefined
      ? 'NOT EXISTS (SELECT 1 FROM host AS old WHERE old.name = new.name AND old.first_blocked < ?1)'
      : 'agent = ?3';
  const query = db.query(`
    SELECT name, max(first_blocked) AS seen FROM host AS new
    WHERE first_blocked >= ?1 AND first_blocked < ?2 AND name NOT LIKE '(%' AND ${condition}
    GROUP BY name ORDER BY seen DESC LIMIT ${MOST_NEW}`);
  return (query.values(since, until, ...(agent === undefined ? [] : [agent])) as [string][]).map(
    ([name]) => name,
  );
}

function emptySpark({ since, until }: Filter): Stats['spark'] {
  const bars = Math.max(1, Math.min(BARS, Math.ceil((until - since) / SPANS.minute)));
  return Array.from({ length: bars }, () => ({ requests: 0, blocked: 0 }));
}

function barOf({ since, until }: Filter, bars: number, start: number): number {
  const bar = Math.floor(((start - since) / (until - since)) * bars);
  return Math.max(0, Math.min(bars - 1, bar));
}

function top(tallies: readonly (Tally & { name: string })[], by: 'requests' | 'blocked') {
  return [...tallies]
    .sort((a, b) => b[by] - a[by])
    .slice(0, TOP)
    .map(({ name: host, ...tally }) => ({ ...tally, host }));
}

function entry<Name>(tallies: Map<Name, Tally>, name: Name): Tally {
  let tally = tallies.get(name);
  if (tally === undefined) {
    tally = emptyTally();
    tallies.set(name, tally);
  }
  return tally;
}

function add(sum: Tally, { requests, allowed, blocked, failed, bytesUp, bytesDown }: Tally): void {
  sum.requests += requests;
  sum.allowed += allowed;
  sum.blocked += blocked;
  sum.failed += failed;
  sum.bytesUp += bytesUp;
  sum.bytesDown += bytesDown;
}

/** Hosts that were only asked for by DNS have totals, but nothing that counts here. */
function isEmpty({ requests, blocked, failed, bytesUp, bytesDown }: Tally): boolean {
  return requests === 0 && blocked === 0 && failed === 0 && bytesUp === 0 && bytesDown === 0;
}

function emptyTally(): Tally {
  return { requests: 0, allowed: 0, blocked: 0, failed: 0, bytesUp: 0, bytesDown: 0 };
}
