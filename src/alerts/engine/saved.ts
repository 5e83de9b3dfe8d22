/** What the engine has written of itself, and writes: cursor, incidents, cool-downs and missed time. */
import type { Database } from 'bun:sqlite';
import type { NoticeEvent } from '../../events/event.ts';
import { notice } from '../audit.ts';
import type { Presence, Span } from '../counting/presence.ts';
import type { Outbox } from '../delivery/outbox.ts';
import { type Acknowledgement, type Incident, recipientsOf } from '../incident.ts';
import type { Change } from './life.ts';
import type { Mutes, Silence } from './mutes.ts';

export interface EngineState {
  /** The last row that was evaluated. */
  cursor: number;
  /** Identity of the store that it is in. */
  store: string;
  /** Up to when everything was evaluated, wall time. */
  at: number;
}

/** How long what has resolved is remembered, milliseconds, and how many at most. */
const MEMORY = 90 * 86_400_000;
const MOST = 20_000;
/** Incidents between looks at how many there are. */
const LOOK = 500;

const TOPICS: Record<Change['kind'], NoticeEvent['topic'] | null> = {
  pending: 'alert-pending',
  firing: 'alert-firing',
  resolved: 'alert-resolved',
  ended: 'alert-resolved',
  counted: null,
};

export class Saved {
  readonly #db: Database;
  #added = LOOK;

  constructor(db: Database) {
    this.#db = db;
  }

  state(): EngineState | null {
    return this.#db.query('SELECT cursor, store, at FROM engine').get() as EngineState | null;
  }

  /** Up to now: a clock that was set forward, and back, leaves a time that has not come yet. */
  missed(now: number): Span[] {
    const query = this.#db.query(
      'SELECT since, min(until, ?1) AS until FROM missed WHERE since < ?1 ORDER BY since',
    );
    return query.all(now) as Span[];
  }

  cooldowns(): [string, number][] {
    return this.#db.query('SELECT fingerprint, until FROM muted').values() as [string, number][];
  }

  silences(now: number): Silence[] {
    return this.#db
      .query(
        'SELECT id, rule, agent, since, until, reason, set_by AS "by" FROM silence WHERE until > ? ORDER BY id LIMIT 1000',
      )
      .all(now) as Silence[];
  }

  open(): Incident[] {
    const rows = this.#db
      .query("SELECT id, body FROM incident WHERE state <> 'resolved' ORDER BY since, id")
      .all() as { id: string; body: string }[];
    const acknowledged = this.acknowledged();
    return rows.map(({ id, body }) => ({
      ...(JSON.parse(body) as Incident),
      acknowledged: acknowledged.get(id) ?? null,
    }));
  }

  acknowledged(): Map<string, Acknowledgement> {
    const rows = this.#db
      .query(
        "SELECT id, acknowledged_at, acknowledged_by FROM incident WHERE state <> 'resolved' AND acknowledged_at > 0",
      )
      .values() as [string, number, string | null][];
    return new Map(rows.map(([id, time, by]) => [id, { time, by: by ?? '' }]));
  }

  /** Inside the transaction: the incident as it is now, its message and its notice. */
  change({ kind, incident, tell }: Change, outbox: Outbox, at: number): void {
    const { id, fingerprint, rule, state, since, resolvedAt } = incident;
    this.#db
      .query(
        `INSERT INTO incident (id, fingerprint, rule, state, since, resolved_at, body) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, resolved_at = excluded.resolved_at, body = excluded.body`,
      )
      .run(id, fingerprint, rule, state, since, resolvedAt, JSON.stringify(incident));
    if (tell !== null) outbox.put(incident, tell, recipientsOf(incident, tell));
    const topic = TOPICS[kind];
    if (topic !== null) notice(this.#db, at, topic, sentenceOf(kind, incident));
    if (kind === 'resolved' || kind === 'ended') this.#forget(at);
  }

  /** Inside the transaction. */
  save({ cursor, store, at }: EngineState, mutes: Mutes, presence: Presence): void {
    this.#db
      .query('INSERT OR REPLACE INTO engine (id, cursor, store, at) VALUES (1, ?, ?, ?)')
      .run(cursor, store, at);
    this.#replaceIfOther('muted', 'fingerprint, until', [...mutes.cooldowns]);
    this.#replaceIfOther(
      'missed',
      'since, until',
      presence.missed.map(({ since, until }) => [since, until]),
    );
  }

  readonly #written = new Map<string, string>();

  #replaceIfOther(
    table: string,
    columns: string,
    rows: readonly (readonly [string | number, number])[],
  ): void {
    const text = JSON.stringify(rows);
    if (this.#written.get(table) === text) return;
    this.#db.run(`DELETE FROM ${table}`);
    const insert = this.#db.query(`INSERT INTO ${table} (${columns}) VALUES (?, ?)`);
    for (const row of rows) insert.run(...row);
    this.#written.set(table, text);
  }

  /** After a transaction that did not commit. */
  lost(): void {
    this.#written.clear();
  }

  #forget(at: number): void {
    if (++this.#added < LOOK) return;
    this.#added = 0;
    this.#db.query("DELETE FROM incident WHERE state = 'resolved' AND resolved_at < ?").run(at - MEMORY);
    this.#db
      .query(
        `DELETE FROM incident WHERE state = 'resolved' AND id IN (
           SELECT id FROM incident ORDER BY since DESC LIMIT -1 OFFSET ${MOST})`,
      )
      .run();
    this.#db.query('DELETE FROM silence WHERE until < ?').run(at - MEMORY);
  }
}

/** For the record: what an agent chose stands in quotes. */
function sentenceOf(kind: Change['kind'], incident: Incident): string {
  const { id, rule, severity, condition, group, groups, count, told, resolvedBy } = incident;
  const where =
    groups !== null
      ? ` in ${groups} groups`
      : Object.values(group)
          .map((part) => ` ${JSON.stringify(part)}`)
          .join('');
  const what = `${rule} (${id}, ${severity})${where}: ${condition}`;
  const why = resolvedBy === 'rule-removed' ? ', because the alert was removed' : '';
  switch (kind) {
    case 'pending':
      return `pending: ${what}`;
    case 'firing':
      return `firing: ${what}; counted ${count}${told ? '' : '; nobody is told'}`;
    case 'ended':
      return `ended before it fired${why}: ${what}`;
    default:
      return `resolved${why}: ${what}; counted ${count}`;
  }
}
