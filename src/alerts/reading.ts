/** What can be asked of the alerts' store. Read-only; works while engines write and before there is a store. */
import { Database } from 'bun:sqlite';
import { existsSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import type { Notification } from './channels/message.ts';
import { LONGEST_PAUSE, missedBefore, type Span } from './counting/presence.ts';
import { hasSources } from './delivery/outboxtables.ts';
import type { Silence } from './engine/mutes.ts';
import type { Incident } from './incident.ts';

export interface KeptDelivery {
  key: string;
  /** The entry of `notify` that it is for. */
  lane: string;
  /** The policy by whose channels it is sent; null: by any. */
  source: string | null;
  state: 'waiting' | 'delivered' | 'dead';
  notification: Notification;
  attempts: number;
  /** When it is tried next; for one that waits. */
  due: number;
  ended: number | null;
  /** What the last attempt came to. */
  detail: string | null;
}

export interface AlertsReading {
  /** Those that have not resolved, or began after `since`; latest first. */
  incidents(filter: { open: true } | { since: number; limit: number }): Incident[];
  incident(id: string): Incident | null;
  /** That are not over at `now`. */
  silences(now: number): Silence[];
  deliveries(filter: {
    state?: KeptDelivery['state'];
    keys?: readonly string[];
    limit: number;
  }): KeptDelivery[];
  /** How many wait in each lane, since when (wall time) and whether any was tried in vain; how many are dead. */
  standing(): { waiting: WaitingLane[]; dead: number };
  /** Lanes in which something is due for this policy's channels that nobody has in hand. */
  due(now: number, source: string): string[];
  /** The policies by whose alerts was evaluated last. */
  sources(): string[];
  /** When nobody evaluated, as far as that is known; oldest first. */
  missed(now: number): Span[];
  close(): void;
}

export interface WaitingLane {
  lane: string;
  source: string | null;
  count: number;
  since: number;
  tried: number;
}

/** Answers null where there is no such store. Throws Failure where it cannot be read. */
export function openAlertsReading(path: string): AlertsReading | null {
  if (!existsSync(path)) return null;
  let db: Database;
  try {
    db = new Database(path, { readonly: true, strict: true });
    db.run('PRAGMA busy_timeout = 1000');
    if ((db.query('PRAGMA user_version').get() as { user_version: number }).user_version === 0) {
      db.close();
      return null;
    }
  } catch (error) {
    throw unreadable(path, error);
  }
  const ask = <T>(question: () => T): T => {
    try {
      return question();
    } catch (error) {
      throw unreadable(path, error);
    }
  };
  const all = <T>(sql: string, ...values: (string | number)[]) =>
    ask(() => db.query(sql).all(...values) as T[]);
  /** An older version, which nobody writes after, has no such column. */
  const source = () => (ask(() => hasSources(db)) ? 'source' : 'NULL');
  return {
    incidents(filter) {
      const rows =
        'open' in filter
          ? all<IncidentRow>(`${INCIDENT} WHERE state <> 'resolved' ORDER BY since DESC, id`)
          : all<IncidentRow>(
              `${INCIDENT} WHERE state <> 'resolved' OR resolved_at >= ?1 OR since >= ?1 ORDER BY since DESC, id LIMIT ?2`,
              filter.since,
              filter.limit,
            );
      return rows.map(incidentOf);
    },
    incident(id) {
      const row = all<IncidentRow>(`${INCIDENT} WHERE id = ?`, id)[0];
      return row === undefined ? null : incidentOf(row);
    },
    silences: (now) =>
      all<Silence>(
        'SELECT id, rule, agent, since, until, reason, set_by AS "by" FROM silence WHERE until > ? ORDER BY until',
        now,
      ),
    deliveries({ state, keys, limit }) {
      const conditions = [
        ...(state === undefined ? [] : ['state = ?']),
        ...(keys === undefined ? [] : [`key IN (${keys.map(() => '?').join(', ')})`]),
      ];
      const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
      const values = [...(state === undefined ? [] : [state]), ...(keys ?? []), limit];
      return all<DeliveryRow>(
        `SELECT ${DELIVERY}, ${source()} AS source FROM delivery${where} ORDER BY id DESC LIMIT ?`,
        ...values,
      ).map(({ body, ...row }) => ({ ...row, notification: JSON.parse(body) as Notification }));
    },
    standing: () => ({
      waiting: all<WaitingLane>(
        `SELECT lane, ${source()} AS source, count(*) AS count, min(made) AS since, max(attempts) > 0 AS tried
         FROM delivery WHERE state = 'waiting' GROUP BY 1, 2 ORDER BY 1, 2`,
      ),
      dead: all<{ dead: number }>("SELECT count(*) AS dead FROM delivery WHERE state = 'dead'")[0]!.dead,
    }),
    due(now, own) {
      const column = source();
      return all<{ lane: string }>(
        `SELECT DISTINCT lane FROM delivery
         WHERE state = 'waiting' AND due <= ?1 AND (leased IS NULL OR leased <= ?1)
           AND (${column} IS NULL OR ${column} = ?2)
           AND ?2 || char(10) || lane NOT IN (SELECT name FROM lane WHERE rests > ?1)`,
        ...[now, own],
      ).map(({ lane }) => lane);
    },
    sources: () => all<{ source: string }>('SELECT source FROM ruleset').map(({ source }) => source),
    missed(now) {
      const spans = all<Span>('SELECT since, until FROM missed ORDER BY since');
      const at = all<{ at: number }>('SELECT at FROM engine')[0]?.at ?? 0;
      return missedBefore(now, now - at > LONGEST_PAUSE ? [...spans, { since: at, until: now }] : spans);
    },
    close: () => db.close(),
  };
}

const INCIDENT = 'SELECT body, acknowledged_at, acknowledged_by FROM incident';
const DELIVERY = 'key, lane, state, body, attempts, due, ended, detail';

interface IncidentRow {
  body: string;
  acknowledged_at: number | null;
  acknowledged_by: string | null;
}

type DeliveryRow = Omit<KeptDelivery, 'notification'> & { body: string };

/** Who acknowledged it is kept beside it, because others than the engine write that. */
export function incidentOf({ body, acknowledged_at: time, acknowledged_by: by }: IncidentRow): Incident {
  return { ...(JSON.parse(body) as Incident), acknowledged: time === null ? null : { time, by: by ?? '' } };
}

function unreadable(path: string, error: unknown): Failure {
  return new Failure(
    'store-unwritable',
    `The alerts' store ${path} cannot be read: ${(error as Error).message}.`,
    'Make it readable for this user, or move it away: alerts begin anew.',
  );
}
