/** A machine with a store of events and an engine, whose time the test moves. */
import type { Database } from 'bun:sqlite';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { denied } from '../../events/event.fixture.ts';
import type { DecisionEvent, Event } from '../../events/event.ts';
import { openQueries } from '../../events/queries.ts';
import { rowOf } from '../../events/row.ts';
import { createWriter } from '../../events/writer.ts';
import type { AlertRule } from '../../policy/alerts/alertrule.ts';
import type { DetectorName } from '../../policy/alerts/condition.ts';
import { parseCondition } from '../../policy/alerts/parse.ts';
import type { Policy } from '../../policy/policy.ts';
import { createOutbox } from '../delivery/outbox.ts';
import type { Detector } from '../detectors/detector.ts';
import type { Incident } from '../incident.ts';
import { openAlertStore } from '../store.ts';
import { createEngine, type Engine } from './engine.ts';

/** A whole hour, so that buckets are easy to reckon. */
export const START = Date.parse('2026-03-02T10:00:00Z');

export function alert(text: string, rest: Partial<AlertRule> = {}): AlertRule {
  const parsed = parseCondition(text);
  if (!parsed.ok) throw new Error(parsed.problem.message);
  return {
    name: 'rule',
    condition: parsed.condition,
    text,
    severity: 'high',
    notify: ['oncall'],
    cooldown: 0,
    for: 0,
    source: { kind: 'file', file: 'egress.yaml', line: 1, column: 1 },
    ...rest,
  };
}

export interface Machine {
  store: string;
  /** Of the alerts' database. */
  path: string;
  db: Database;
  /** `shift`: milliseconds by which somebody has set the clock forward, or back. */
  clock: Clock & { time: number; shift: number };
  /** Commits rows; times are those of the clock where an event has none of its own. */
  record(...events: Event[]): void;
  blocked(count: number, fields?: Partial<DecisionEvent>): void;
  engine: Engine;
  /** Another engine on the same stores, as after a restart or in another process. */
  another(rules?: readonly AlertRule[], db?: Database, source?: string): Engine;
  /** Lets so many milliseconds pass, with a step every 250. */
  pass(milliseconds: number, engine?: Engine): void;
  /** Messages in the outbox: `firing oncall`, in order. */
  messages(): string[];
  incidents(): Incident[];
  /** Texts of the notices in the sealed record, oldest first. */
  notices(): string[];
}

export function openMachine(
  rules: readonly AlertRule[],
  detectors: ReadonlyMap<DetectorName, () => Detector> = new Map(),
): Machine {
  const folder = join(mkdtempSync(join(tmpdir(), 'clawctl-alerts-')), 'state');
  const store = join(folder, 'egress.db');
  const path = join(folder, 'alerts.db');
  const clock = {
    ...{ time: START, shift: 0 },
    now: () => clock.time + clock.shift,
    monotonic: () => clock.time - START,
  };
  const writer = createWriter(store);
  const db = openAlertStore(path);
  const another = (
    others: readonly AlertRule[] = rules,
    own = openAlertStore(path),
    source = 'egress.yaml',
  ) =>
    createEngine({
      ...{ store, path, db: own, clock, source, rules: () => others },
      outbox: createOutbox(own, clock),
      context: { policy: () => ({}) as Policy },
      detectors: () => new Map([...detectors].map(([name, make]) => [name, make()])),
    });
  const record = (...events: Event[]) => {
    const written = writer.write(events.map(rowOf));
    if (!written.ok) throw new Error(written.what);
  };
  const machine: Machine = {
    ...{ store, path, db, clock, record, another },
    engine: another(rules, db),
    blocked: (count, fields = {}) =>
      record(
        ...Array.from({ length: count }, (_, connection) =>
          denied({ time: clock.now(), connection, ...fields }),
        ),
      ),
    pass(milliseconds, engine = machine.engine) {
      const end = clock.time + milliseconds;
      while (clock.time < end) {
        clock.time = Math.min(end, clock.time + 250);
        while (engine.step().isBehind);
      }
    },
    messages: () =>
      (db.query('SELECT body FROM delivery ORDER BY id').all() as { body: string }[]).map(({ body }) => {
        const { transition, incident } = JSON.parse(body) as { transition: string; incident: Incident };
        const where =
          incident.groups === null ? Object.values(incident.group) : [`${incident.groups} groups`];
        return [transition, ...where].join(' ');
      }),
    incidents: () =>
      (db.query('SELECT body FROM incident ORDER BY since, rowid').all() as { body: string }[]).map(
        ({ body }) => JSON.parse(body) as Incident,
      ),
    notices: () =>
      openQueries(store)
        .tail(0, 1_000_000)
        .flatMap((event) => (event.kind === 'notice' ? [`${event.topic} ${event.text}`] : [])),
  };
  return machine;
}
