/**
 * Evaluates committed rows as long as it holds the lease: reads those behind its cursor, and commits the cursor, what
 * follows from them and the messages about it in one transaction. So after a crash the next engine finds nothing done
 * by half: what was not committed is evaluated again and comes out the same.
 */
import type { Database } from 'bun:sqlite';
import type { Clock } from '../../base/clock.ts';
import { createReading, type Reading } from '../../events/reading.ts';
import { identityOf } from '../../events/store.ts';
import { createWriter, type Writer } from '../../events/writer.ts';
import type { AlertRule } from '../../policy/alerts/alertrule.ts';
import { writeNotices } from '../audit.ts';
import { createHistory } from '../counting/history.ts';
import { NewDomains } from '../counting/newdomains.ts';
import { LONGEST_PAUSE, Presence } from '../counting/presence.ts';
import type { Outbox } from '../delivery/outbox.ts';
import type { DetectorContext } from '../detectors/detector.ts';
import { createDetectors } from '../detectors/detectors.ts';
import type { Incident } from '../incident.ts';
import { describe } from './describe.ts';
import { Evaluation } from './evaluation.ts';
import { BEAT, Lease, LeaseLost } from './lease.ts';
import { KeptMemory } from './memory.ts';
import { Mutes } from './mutes.ts';
import { recall } from './recall.ts';
import { type Agents, lastSequence, type RowView, visitRows } from './rows.ts';
import { Rulesets } from './rulesets.ts';
import { Saved } from './saved.ts';

/** Rows read at once. */
const BATCH = 5_000;
/** Milliseconds between writes of numbers that alone have changed. */
const REFRESH = 5_000;
/** How far back rows are looked at where nobody ever did. */
const FIRST_LOOK = 3_600_000;
/** How long what fired waits for a process of its policy: as long as the longest window. */
const LONGEST_WAIT = 7 * 86_400_000;

export interface EngineOptions {
  /** Path of the store of events. */
  store: string;
  /** The alerts' database, and its path. */
  db: Database;
  path: string;
  outbox: Outbox;
  clock: Clock;
  /** Which policy it is that the rules are of, and the rules of the moment. */
  source: string;
  rules: () => readonly AlertRule[];
  context: Omit<DetectorContext, 'memory'>;
  /** Those that the program has, if left out. */
  detectors?: typeof createDetectors;
}

export interface Stepped {
  /** Whether it is the one that evaluates. */
  isHolder: boolean;
  /** Whether there may be more to do at once. */
  isBehind: boolean;
  /** Whether it has given messages to the outbox. */
  isTelling: boolean;
}

export interface Engine {
  /**
   * Evaluates what is there, if this engine is the one that does. Throws where a database cannot be used; then try
   * again later.
   */
  step(): Stepped;
  close(): void;
}

const STANDING_BY: Stepped = { isHolder: false, isBehind: false, isTelling: false };

interface Running {
  evaluation: Evaluation;
  presence: Presence;
  mutes: Mutes;
  memory: KeptMemory;
  /** Its own rules, and all that it evaluates, as JSON. */
  ownRules: readonly AlertRule[];
  rules: string;
  cursor: number;
  /** Whether rows were missing behind the cursor. */
  hasGap: boolean;
  /** The cursor as it was written. */
  saved: number;
  identity: string | null;
  /** Wall time of the last look, and monotonic time of the last write and of the last refreshed numbers. */
  looked: number;
  written: number;
  refreshed: number;
  version: number;
}

export function createEngine(options: EngineOptions): Engine {
  const { store, db, outbox, clock } = options;
  const lease = new Lease(db, options.path);
  const reading: Reading = createReading(store);
  const saved = new Saved(db);
  const rulesets = new Rulesets(db, options.source);
  const agents: Agents = new Map();
  const history = createHistory((empty, question) => reading.ask(empty, question));
  let running: Running | null = null;
  let writer: Writer | null = null;
  let hasWritten = false;

  const versionOf = () => (db.query('PRAGMA data_version').get() as { data_version: number }).data_version;

  /** Stands where the last engine stood. */
  const begin = (): Running => {
    const now = clock.now();
    const identity = identityOf(store);
    const state = saved.state();
    const last = reading.ask(0, lastSequence);
    const isSame = state !== null && state.store === (identity ?? '') && state.cursor <= last;
    const presence = new Presence(saved.missed(now));
    const at = isSame ? Math.min(state.at, now) : now - FIRST_LOOK;
    if (state === null) presence.miss(0, now);
    else if (now - state.at > LONGEST_PAUSE) presence.miss(state.at, now);
    const cursor = isSame ? state.cursor : firstCursor(at);
    // What a clock reckoned that has been set back since lasts as long as it was to last, and no longer.
    const ahead = Math.max(0, (state?.at ?? now) - now);
    const cooldowns = saved.cooldowns().map(([about, end]) => [about, end - ahead] as const);
    const mutes = new Mutes(cooldowns, saved.silences(now));
    const memory = new KeptMemory(db, () => clock.now());
    const newDomains = new NewDomains();
    const rules = rulesets.all(options.rules(), now);
    const detectors = (options.detectors ?? createDetectors)(rules, { ...options.context, memory });
    const evaluation = new Evaluation({ rules, history, presence, mutes, newDomains, detectors, at });
    agents.clear();
    reading.ask(undefined, (events) =>
      recall({ db: events, agents, history, evaluation, newDomains, cursor }),
    );
    const monotonic = clock.monotonic();
    const begun: Running = {
      ...{ evaluation, presence, mutes, memory, cursor, saved: cursor, identity, hasGap: false },
      ...{ ownRules: options.rules(), rules: JSON.stringify(rules) },
      ...{ looked: now, written: monotonic - BEAT, refreshed: monotonic, version: versionOf() },
    };
    const shown = rulesets.sources(now);
    for (const incident of evaluation.restore(saved.open())) {
      if (isGone(incident, shown, now)) evaluation.remove(incident);
    }
    return begun;
  };
  /** The last sequence number whose rows are older than `time`. */
  const firstCursor = (time: number): number =>
    reading.ask(0, (events) => {
      const before = events.query(
        'SELECT sequence, time FROM event WHERE sequence >= ? ORDER BY sequence LIMIT 1',
      );
      let low = 0;
      let high = lastSequence(events);
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        const row = before.get(middle + 1) as { sequence: number; time: number } | null;
        if (row !== null && row.time < time) low = Math.min(row.sequence, high);
        else high = middle;
      }
      return low;
    });
  const read = (run: Running, now: number): boolean => {
    const { evaluation } = run;
    const visit = (row: RowView) => {
      evaluation.see(row, Math.min(row.time, now));
      if (row.sequence !== run.cursor + 1) run.hasGap = true;
      run.cursor = row.sequence;
    };
    return reading.ask(false, (events) => {
      const last = lastSequence(events);
      if (last <= run.cursor) return false;
      if (visitRows(events, agents, run.cursor, last, BATCH, visit) === BATCH) return true;
      if (run.cursor !== last) run.hasGap = true;
      run.cursor = last;
      return false;
    });
  };

  /** Answers whether there are new messages. */
  const write = (run: Running, now: number, isBehind: boolean): boolean => {
    const monotonic = clock.monotonic();
    const { evaluation, memory, mutes, presence, cursor } = run;
    const isRefresh = monotonic - run.refreshed >= REFRESH;
    const changes = evaluation.changes(isRefresh);
    if (isRefresh) run.refreshed = monotonic;
    const isDue = monotonic - run.written >= BEAT;
    if (changes.length === 0 && !isDue && cursor === run.saved && !memory.isChanged) return false;
    describe(changes, evaluation.rulebook, history, evaluation.at, now);
    db.transaction(() => {
      lease.beat();
      for (const change of changes) saved.change(change, outbox, evaluation.at);
      saved.save({ cursor, store: run.identity ?? '', at: evaluation.at }, mutes, presence);
      memory.save();
    }).immediate();
    memory.saved();
    run.saved = cursor;
    run.written = monotonic;
    if (!isBehind || changes.length > 0) {
      writer ??= createWriter(store);
      hasWritten = writeNotices(db, store, writer, !hasWritten) || hasWritten;
    }
    return changes.some(({ tell }) => tell !== null);
  };

  /** With other rules. */
  const again = (): Stepped => {
    running = null;
    return { isHolder: true, isBehind: true, isTelling: false };
  };

  const step = (): Stepped => {
    rulesets.show(options.rules(), clock.now());
    if (!lease.seek(clock.monotonic())) return STANDING_BY;
    const now = clock.now();
    const wasReplaced = running !== null && identityOf(store) !== running.identity;
    // A clock that was set back makes all that is remembered lie in the future.
    if (wasReplaced || (running !== null && now < running.looked - LONGEST_PAUSE)) running = null;
    running ??= begin();
    const run = running;
    if (now - run.looked > LONGEST_PAUSE) run.presence.miss(run.looked, now);
    run.looked = now;
    const version = versionOf();
    if (version !== run.version || options.rules() !== run.ownRules) {
      run.version = version;
      if (JSON.stringify(rulesets.all(options.rules(), now)) !== run.rules) return again();
      run.ownRules = options.rules();
      run.mutes.silences = saved.silences(now);
      run.evaluation.acknowledge(saved.acknowledged());
    }
    const isBehind = read(run, now);
    if (!isBehind) run.evaluation.advance(now);
    if (run.hasGap && !isBehind) run.written = Number.NEGATIVE_INFINITY;
    const isTelling = write(run, now, isBehind);
    // What was evicted before it was read is still in the totals.
    const isIncomplete = run.hasGap && !isBehind;
    if (isIncomplete) running = null;
    return { isHolder: true, isBehind: isBehind || isIncomplete, isTelling };
  };

  return {
    step() {
      try {
        return step();
      } catch (error) {
        // What is in memory may be ahead of what is written: stand again where the database stands.
        running = null;
        saved.lost();
        if (error instanceof LeaseLost) return STANDING_BY;
        throw error;
      }
    },
    close() {
      lease.release();
      reading.close();
    },
  };
}

/**
 * Whether the alert of an incident was taken out of the policy. Only processes of that policy can tell: where none
 * runs, the incident stays as it is, until it is older than anything that a condition looks at.
 */
function isGone(
  { namings = [], since, firedAt }: Incident,
  shown: ReadonlySet<string>,
  now: number,
): boolean {
  return namings.every(({ source }) => shown.has(source)) || (firedAt ?? since) < now - LONGEST_WAIT;
}
