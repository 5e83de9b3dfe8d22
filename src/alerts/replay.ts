/** What would have fired, from what is recorded, had these alerts been on. Nothing is written and nobody is told. */
import { createReading } from '../events/reading.ts';
import type { AlertRule } from '../policy/alerts/alertrule.ts';
import type { Policy } from '../policy/policy.ts';
import { createHistory } from './counting/history.ts';
import { NewDomains } from './counting/newdomains.ts';
import { Presence, type Span } from './counting/presence.ts';
import { createDetectors } from './detectors/detectors.ts';
import { describe } from './engine/describe.ts';
import { Evaluation } from './engine/evaluation.ts';
import { Mutes } from './engine/mutes.ts';
import { type Agents, lastSequence, type RowView, visitRows } from './engine/rows.ts';
import type { Incident } from './incident.ts';

/** Rows read at once. */
const BATCH = 5_000;
/** Steps of time, milliseconds: an engine that runs looks as often while something happens, and lets time pass. */
const SLICE = 5_000;
const PAUSE = 60_000;
/** What lies so long before the time asked about is read too: windows, and what detectors know, begin with it. */
const WARM_UP = 7 * 86_400_000;
/** Incidents that are kept; past them the oldest are forgotten. */
const MOST = 20_000;

export interface ReplayOptions {
  /** Path of the store of events. */
  store: string;
  rules: readonly AlertRule[];
  policy: Policy;
  /** Wall times in milliseconds. */
  since: number;
  until: number;
  /** When nobody watched, oldest first. */
  missed: readonly Span[];
}

export interface Replayed {
  /** In the order in which they fired. `told` says which would have sent a message. */
  incidents: Incident[];
  rows: number;
  /** Of the oldest row that is still there; null where there is none. */
  oldest: number | null;
}

/** Throws Failure where the store cannot be read. */
export function replay({ store, rules, policy, since, until, missed }: ReplayOptions): Replayed {
  const reading = createReading(store);
  const history = createHistory((empty, question) => reading.ask(empty, question));
  const remembered = new Map<string, number>();
  const memory = {
    get: (key: string) => remembered.get(key) ?? null,
    set: (key: string, value: number) => void remembered.set(key, value),
  };
  const presence = new Presence(missed);
  const newDomains = new NewDomains();
  const detectors = createDetectors(rules, { policy: () => policy, memory });
  const evaluation = new Evaluation({
    ...{ rules, history, presence, mutes: new Mutes(), newDomains, detectors },
    at: since - WARM_UP,
  });
  const agents: Agents = new Map();
  const incidents = new Map<string, Incident>();
  const collect = () => {
    const changes = evaluation.changes(true);
    describe(changes, evaluation.rulebook, history, evaluation.at, until);
    for (const { kind, incident } of changes) {
      if (kind === 'ended') incidents.delete(incident.id);
      else incidents.set(incident.id, structuredClone(incident));
      if (incidents.size > MOST) incidents.delete(incidents.keys().next().value!);
    }
  };
  try {
    return reading.ask({ incidents: [], rows: 0, oldest: null } as Replayed, (db) => {
      const { oldest } = db.query('SELECT min(time) AS oldest FROM event').get() as { oldest: number | null };
      const before = db
        .query('SELECT max(sequence) AS cursor FROM event WHERE time < ?')
        .get(since - WARM_UP);
      let cursor = (before as { cursor: number | null }).cursor ?? 0;
      const last = lastSequence(db);
      let rows = 0;
      let looked = since - WARM_UP;
      /** What follows from time alone is looked at when it happens, not when the next row comes. */
      const passTo = (time: number) => {
        for (; time - looked > 2 * PAUSE; looked += PAUSE) {
          evaluation.advance(looked + PAUSE);
          collect();
        }
        if (time - looked < SLICE) return;
        looked = time;
        evaluation.advance(time);
        collect();
      };
      const visit = (row: RowView) => {
        cursor = row.sequence;
        if (row.time >= until) return;
        if (row.time >= since) rows++;
        passTo(row.time);
        evaluation.see(row, row.time);
      };
      while (visitRows(db, agents, cursor, last, BATCH, visit) === BATCH);
      passTo(until);
      evaluation.advance(until);
      collect();
      const fired = [...incidents.values()].filter(({ firedAt }) => firedAt !== null && firedAt >= since);
      return { incidents: fired.sort((a, b) => a.firedAt! - b.firedAt!), rows, oldest };
    });
  } finally {
    reading.close();
  }
}
