/**
 * `stats` and `blocked` over the last day of a store that holds ten million events of twenty agents with three
 * hundred hosts each. Run alone: `sh scripts/bun bench/stats.ts`.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openQueries } from '../src/events/queries.ts';
import { openStore } from '../src/events/store.ts';
import { SPANS } from '../src/events/totals.ts';
import { median } from './statistics.ts';

const EVENTS = 10_000_000;
const AGENTS = 20;
const HOSTS = 300;
const DAY = 86_400_000;
const RUNS = 5;

export async function measure(): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'clawctl-bench-'));
  const store = join(folder, 'egress.db');
  try {
    const began = performance.now();
    const now = Date.now();
    fill(store, now);
    const filled = performance.now() - began;
    const filter = { since: now - DAY, until: now };
    const asked = performance.now();
    const { requests } = openQueries(store).stats(filter);
    const first = performance.now() - asked;
    if (requests < EVENTS * 0.99) throw new Error(`the store answers for ${requests} events only`);
    return {
      stats_events: EVENTS,
      stats_store_mb: Math.round(statSync(store).size / 1e6),
      stats_fill_s: Math.round(filled / 1_000),
      stats_24h_first_ms: Number(first.toFixed(1)),
      stats_24h_ms: time(() => openQueries(store).stats(filter)),
      stats_24h_by_agent_ms: time(() => openQueries(store).stats({ ...filter, by: 'agent' })),
      blocked_24h_ms: time(() => openQueries(store).blocked(filter)),
      last_use_ms: time(() => openQueries(store).lastUse(now)),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The middle of several runs, each with a connection (and so a cache) of its own. */
function time(run: () => unknown): number {
  const times = Array.from({ length: RUNS }, () => {
    const began = performance.now();
    run();
    return performance.now() - began;
  });
  return Number(median(times).toFixed(1));
}

/**
 * Rows first, without hashes, which nothing here reads; then the totals that follow from them. Every tenth host
 * is refused; low numbers are asked for most.
 */
function fill(store: string, now: number): void {
  const db = openStore(store);
  db.run('PRAGMA synchronous = OFF');
  db.run(`
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${EVENTS})
    INSERT INTO event (sequence, chain, time, kind, session, connection, protocol, host, port, outcome, reason,
      rule, would_deny, count, hash)
    SELECT i, i % ${AGENTS} + 1, ${now - DAY} + CAST(i * ${DAY / EVENTS} AS INTEGER), 'decision', 'session', i, 'tcp',
      'host' || h || '.example.com', 443, iif(h % 10 = 0, 'deny', 'allow'), iif(h % 10 = 0, 'no-rule', 'rule'),
      'egress.yaml:12', 0, 1, zeroblob(32)
    FROM (SELECT i, (abs(random()) % ${HOSTS}) * (abs(random()) % ${HOSTS}) / ${HOSTS} AS h FROM n)`);
  db.run(`
    INSERT INTO host (name, agent, first_blocked, last_blocked, last_allowed, last_seen)
    SELECT host, 'agent-' || chain, min(iif(outcome = 'deny', time, NULL)), max(iif(outcome = 'deny', time, NULL)),
      max(iif(outcome = 'allow', time, NULL)), max(time)
    FROM event GROUP BY host, chain`);
  const total = (span: number, since: number) =>
    db.run(`
      INSERT INTO total (span, start, host, port, reason, requests, allowed, blocked, failed, questions,
        bytes_up, bytes_down, first, last)
      SELECT ${span}, time / ${span} * ${span}, id, port, reason, count(*),
        sum(outcome = 'allow'), sum(outcome = 'deny'), 0, 0, 1500, 40000, min(time), max(time)
      FROM event JOIN host ON host.name = event.host AND host.agent = 'agent-' || chain
      WHERE sequence > ${since} GROUP BY time / ${span}, id, port, reason`);
  total(SPANS.second, Math.floor((EVENTS * 23) / 24));
  total(SPANS.minute, 0);
  total(SPANS.hour, 0);
  total(SPANS.quarterDay, 0);
  db.close();
}

if (import.meta.main) {
  console.log(JSON.stringify(await measure(), null, 2));
}
