/**
 * Totals are what questions are answered from. They follow from the rows alone, go into the same transaction
 * as the rows, and so always agree with them.
 */
import type { Database } from 'bun:sqlite';
import type { Cells, Row } from './row.ts';

/** Spans of one total, milliseconds: seconds for the last hour, minutes for days, the others for as long as rows. */
export const SPANS = { second: 1_000, minute: 60_000, hour: 3_600_000, quarterDay: 21_600_000 } as const;

export interface Counts {
  requests: number;
  allowed: number;
  blocked: number;
  failed: number;
  questions: number;
  bytesUp: number;
  bytesDown: number;
}

interface Total extends Counts {
  second: number;
  agent: string;
  host: string;
  port: number;
  reason: string;
  first: number;
  last: number;
}

/**
 * What one row adds. A decision is a request, allowed or blocked; a later refusal moves it from allowed to
 * blocked; a close adds its bytes, and failed where the origin was not reached or broke off.
 */
export function countsOf(cells: Cells): Counts {
  const count = cells.count as number;
  const counts = { requests: 0, allowed: 0, blocked: 0, failed: 0, questions: 0, bytesUp: 0, bytesDown: 0 };
  if (cells.kind === 'decision') {
    counts.requests = count;
    counts[cells.outcome === 'allow' ? 'allowed' : 'blocked'] = count;
  } else if (cells.kind === 'refusal') {
    counts.allowed = -count;
    counts.blocked = count;
  } else if (cells.kind === 'close') {
    if (cells.outcome === 'failed') counts.failed = count;
    counts.bytesUp = cells.bytes_up as number;
    counts.bytesDown = cells.bytes_down as number;
  } else if (cells.kind === 'question') {
    counts.questions = count;
  }
  return counts;
}

/** The rows' totals by second, agent, host, port and reason. Notices and what goes on have none. */
function totalsOf(rows: readonly Row[]): Total[] {
  const totals = new Map<string, Total>();
  for (const row of rows) {
    const { cells, agent } = row;
    if (row.lane === 'notice' || cells.kind === 'progress') continue;
    const time = cells.time as number;
    const second = time - (time % SPANS.second);
    const host = row.countedAs ?? (cells.host as string);
    const port = row.countedAs === null ? ((cells.port as number | null) ?? 0) : 0;
    const reason = (cells.reason as string | null) ?? '';
    const key = `${second} ${port} ${reason} ${host} ${agent}`;
    const counts = countsOf(cells);
    const total = totals.get(key);
    if (total === undefined) {
      totals.set(key, { second, agent, host, port, reason, first: time, last: time, ...counts });
      continue;
    }
    for (const name of Object.keys(counts) as (keyof Counts)[]) total[name] += counts[name];
    total.first = Math.min(total.first, time);
    total.last = Math.max(total.last, time);
  }
  return [...totals.values()];
}

/**
 * Writes totals of rows at every span, and keeps for each agent's host when it was first and last seen. Totals
 * name a host by its number there, which keeps them small and quick to read.
 */
export function createTotalsWriter(db: Database): (rows: readonly Row[]) => void {
  const sight = db.query(`
    INSERT INTO host (name, agent, first_blocked, last_blocked, last_allowed, last_seen)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO UPDATE SET
      first_blocked = coalesce(first_blocked, ?3),
      last_blocked = coalesce(max(last_blocked, ?4), last_blocked, ?4),
      last_allowed = coalesce(max(last_allowed, ?5), last_allowed, ?5),
      last_seen = max(last_seen, ?6)
    RETURNING id`);
  const upsert = db.query(`
    INSERT INTO total (span, start, host, port, reason,
      requests, allowed, blocked, failed, questions, bytes_up, bytes_down, first, last)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, allowed = allowed + excluded.allowed,
      blocked = blocked + excluded.blocked, failed = failed + excluded.failed,
      questions = questions + excluded.questions, bytes_up = bytes_up + excluded.bytes_up,
      bytes_down = bytes_down + excluded.bytes_down, first = min(first, excluded.first),
      last = max(last, excluded.last)`);
  return (rows) => {
    for (const total of totalsOf(rows)) {
      const { agent, host, port, reason, second, first, last } = total;
      const isBlocked = total.blocked > 0;
      const seen = [isBlocked ? first : null, isBlocked ? last : null, total.allowed > 0 ? last : null, last];
      const { id } = sight.get(host, agent, ...seen) as { id: number };
      const { requests, allowed, blocked, failed, questions, bytesUp, bytesDown } = total;
      const sums = [requests, allowed, blocked, failed, questions, bytesUp, bytesDown];
      for (const span of Object.values(SPANS)) {
        upsert.run(span, second - (second % span), id, port, reason, ...sums, first, last);
      }
    }
  };
}
