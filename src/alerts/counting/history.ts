/** What the store of events knows of the past, for the engine: its totals, each as a fact with all that it counts. */
import type { Database } from 'bun:sqlite';
import type { Reason } from '../../policy/reason.ts';
import type { Fact, Measure } from './fact.ts';

/** Of one span of time, agent, host and reason. */
export interface Past {
  start: number;
  agent: string;
  host: string;
  reason: Reason | null;
  measures: Record<Exclude<Measure, 'findings' | 'new_blocked_domains'>, number>;
}

export interface History {
  /** Totals of this span (see events/totals.ts) whose start is within [from, to). */
  totals(span: number, from: number, to: number, visit: (past: Past) => void): void;
  /** The start of the first total of this span, or null where there is none. */
  firstTotal(span: number): number | null;
}

type TotalRow = [number, string, string, string, number, number, number, number, number, number, number];

/** `ask` runs a question on the store; see events/reading.ts. */
export function createHistory(ask: <T>(empty: T, question: (db: Database) => T) => T): History {
  return {
    totals: (span, from, to, visit) =>
      ask(undefined, (db) => {
        const query = db.query(`
          SELECT start, agent, name, reason, requests, allowed, blocked, failed, questions, bytes_up, bytes_down
          FROM total JOIN host ON host.id = total.host WHERE span = ? AND start >= ? AND start < ?`);
        for (const row of query.values(span, from, to) as TotalRow[]) visit(pastOf(row));
      }),
    firstTotal: (span) =>
      ask(null, (db) => {
        const query = db.query('SELECT min(start) AS start FROM total WHERE span = ?');
        return (query.get(span) as { start: number | null }).start;
      }),
  };
}

function pastOf([
  start,
  agent,
  host,
  reason,
  requests,
  allowed_requests,
  blocked_requests,
  failed_requests,
  dns_queries,
  bytes_up,
  bytes_down,
]: TotalRow): Past {
  const measures = {
    ...{ requests, allowed_requests, blocked_requests, failed_requests },
    ...{ dns_queries, bytes_up, bytes_down },
  };
  return { start, agent, host, reason: reason === '' ? null : (reason as Reason), measures };
}

/** The measure of a past that a leaf counts; domains that were new then are told by those refused. */
export function measureOf(past: Past, measure: Measure): number {
  if (measure === 'findings') return 0;
  return past.measures[measure === 'new_blocked_domains' ? 'blocked_requests' : measure];
}

export function factOf(fact: Fact, past: Past): Fact {
  return fact.set(past.start, past.agent, past.host, past.reason, null);
}
