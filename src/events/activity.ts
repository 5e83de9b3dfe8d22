/** Answers from totals about single hosts: what was blocked, and which are in use. */
import type { Database } from 'bun:sqlite';
import { coverFrom, type Stretch } from './cover.ts';
import type { Blocked, Filter, HostUse } from './queries.ts';

export function blocked(db: Database, { since, until, agent }: Filter, now: number): Blocked[] {
  const { table, values } = totalsWithin(coverFrom(db, since, until, now));
  return db
    .query(`
      SELECT name AS host, port, agent, reason, count, first, last FROM (
        SELECT host, port, reason, sum(blocked) AS count, min(first) AS first, max(last) AS last
        FROM ${table} WHERE blocked > 0 GROUP BY host, port, reason
      ) AS total JOIN host ON host.id = total.host ${agent === undefined ? '' : 'WHERE agent = ?'}
      ORDER BY count DESC, last DESC`)
    .all(...values, ...(agent === undefined ? [] : [agent])) as Blocked[];
}

const DAY = 86_400_000;

export function hostsUsed(db: Database, now: number): HostUse[] {
  const { table, values } = totalsWithin(coverFrom(db, now - DAY, now + 1, now));
  return db
    .query(`
      SELECT agent, name AS host, last_allowed AS last, max(0, coalesce(count, 0)) AS count
      FROM host LEFT JOIN (
        SELECT host, sum(allowed) AS count FROM ${table} WHERE allowed <> 0 GROUP BY host
      ) AS total ON total.host = host.id
      WHERE last_allowed IS NOT NULL ORDER BY last DESC`)
    .all(...values) as HostUse[];
}

/** Totals of these stretches as a table for FROM, and the values it binds; each part is a range of the key. */
function totalsWithin(stretches: readonly Stretch[]): { table: string; values: number[] } {
  const parts = stretches.map(() => 'SELECT * FROM total WHERE span = ? AND start >= ? AND start < ?');
  if (parts.length === 0) parts.push('SELECT * FROM total WHERE 0');
  return {
    table: `(${parts.join(' UNION ALL ')})`,
    values: stretches.flatMap(({ span, from, to }) => [span, from, to]),
  };
}
