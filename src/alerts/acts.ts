/** What a person does about alerts: takes an incident on, asks for silence, makes a test. Each is one transaction. */
import type { Database } from 'bun:sqlite';
import type { AlertRule } from '../policy/alerts/alertrule.ts';
import { notice } from './audit.ts';
import type { Outbox } from './delivery/outbox.ts';
import { type Incident, recipientsOf } from './incident.ts';
import { incidentOf } from './reading.ts';

export type Acknowledged =
  | { state: 'done' | 'already'; incident: Incident; keys: string[] }
  /** `matches`: how many begin with what was given. */
  | { state: 'unknown'; matches: number };

/** `id`: whole, or as much of its beginning as is unambiguous among what has not resolved. */
export function acknowledge(db: Database, outbox: Outbox, id: string, by: string, now: number): Acknowledged {
  return db
    .transaction((): Acknowledged => {
      const rows = db
        .query(
          `SELECT id, body, acknowledged_at, acknowledged_by FROM incident
           WHERE id = ?1 OR (state <> 'resolved' AND substr(id, 1, length(?1)) = ?1) ORDER BY id = ?1 DESC LIMIT 3`,
        )
        .all(id) as (Parameters<typeof incidentOf>[0] & { id: string })[];
      const found = rows[0]?.id === id ? rows[0] : rows.length === 1 ? rows[0] : undefined;
      if (found === undefined || id === '') return { state: 'unknown', matches: rows.length };
      const incident = incidentOf(found);
      if (incident.acknowledged !== null) return { state: 'already', incident, keys: [] };
      incident.acknowledged = { time: now, by };
      db.query('UPDATE incident SET acknowledged_at = ?, acknowledged_by = ? WHERE id = ?').run(
        now,
        by,
        incident.id,
      );
      notice(db, now, 'alert-acknowledged', `${incident.rule} (${incident.id}) by ${by}`);
      // Whoever was not told that it fires need not hear that somebody is on it.
      const keys = incident.told
        ? outbox.put(incident, 'acknowledged', recipientsOf(incident, 'acknowledged'))
        : [];
      return { state: 'done', incident, keys };
    })
    .immediate();
}

export interface SilenceRequest {
  rule: string | null;
  agent: string | null;
  until: number;
  reason: string;
  by: string;
}

/** Answers its number. */
export function silence(
  db: Database,
  { rule, agent, until, reason, by }: SilenceRequest,
  now: number,
): number {
  return db
    .transaction(() => {
      const insert = db.query(
        'INSERT INTO silence (rule, agent, since, until, reason, set_by) VALUES (?, ?, ?, ?, ?, ?) RETURNING id',
      );
      const { id } = insert.get(rule, agent, now, until, reason, by) as { id: number };
      const why = reason === '' ? '' : `: ${reason}`;
      const end = new Date(until).toISOString();
      notice(db, now, 'alert-silenced', `${aboutText(rule, agent)} until ${end} by ${by}${why}`);
      return id;
    })
    .immediate();
}

/** Ends those of an alert, or those of every alert, before their time; answers how many. */
export function endSilences(
  db: Database,
  { rule, agent, by }: Pick<SilenceRequest, 'rule' | 'agent' | 'by'>,
  now: number,
): number {
  return db
    .transaction(() => {
      const { changes } = db
        .query('UPDATE silence SET until = ?1 WHERE until > ?1 AND rule IS ?2 AND agent IS ?3')
        .run(now, rule, agent);
      if (changes > 0) notice(db, now, 'alert-silenced', `${aboutText(rule, agent)}: ended by ${by}`);
      return changes;
    })
    .immediate();
}

/** Those of every policy in use on this machine, and those that have fired: people are told of them all. */
export function alertNames(db: Database): string[] {
  const names = db.query(`
    SELECT value ->> 'name' AS name FROM ruleset, json_each(ruleset.rules) UNION SELECT rule FROM incident`);
  return (names.all() as { name: string }[]).map(({ name }) => name);
}

/** `blocked_request_spike about support-bot`, for the record and for a person. */
export const aboutText = (rule: string | null, agent: string | null): string =>
  `${rule ?? 'every alert'}${agent === null ? '' : ` about ${agent}`}`;

/** What `alerts test` sends: an incident that never was, marked as a test. */
export function testIncident(
  rule: Pick<AlertRule, 'name' | 'severity' | 'text'>,
  notify: readonly string[],
  now: number,
): Incident {
  return {
    id: `test-${crypto.randomUUID().slice(0, 8)}`,
    rule: rule.name,
    severity: rule.severity,
    condition: rule.text,
    fingerprint: 'test',
    group: {},
    groups: null,
    state: 'firing',
    since: now,
    firedAt: now,
    resolvedAt: null,
    resolvedBy: null,
    count: 0,
    value: null,
    threshold: null,
    finding: null,
    hosts: [],
    agents: ['test'],
    decidingRule: null,
    notify: [...notify],
    told: true,
    acknowledged: null,
    test: true,
  };
}

/** What waits is due now; `lane`: only there. */
export function hurry(db: Database, lane: string | null, now: number): void {
  db.transaction(() => {
    db.query("UPDATE delivery SET due = ?1 WHERE state = 'waiting' AND (?2 IS NULL OR lane = ?2)").run(
      now,
      lane,
    );
    db.query(
      'DELETE FROM lane WHERE ?1 IS NULL OR name = ?1 OR substr(name, -length(?1) - 1) = char(10) || ?1',
    ).run(lane);
  }).immediate();
}

/** Dead letters for this policy's channels wait again, as if they had just been put there. Answers how many. */
export function revive(db: Database, source: string, lane: string | null, by: string, now: number): number {
  const update = db.query(`
    UPDATE delivery SET state = 'waiting', ended = NULL, attempts = 0, made = ?1, due = ?1
    WHERE state = 'dead' AND (?2 IS NULL OR lane = ?2) AND (source IS NULL OR source = ?3)`);
  return db
    .transaction(() => {
      const { changes } = update.run(now, lane, source);
      if (changes > 0)
        notice(db, now, 'alert-undelivered', `${changes} dead letters are tried again, by ${by}`);
      return changes;
    })
    .immediate();
}
