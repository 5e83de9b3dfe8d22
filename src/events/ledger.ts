/**
 * What waits to be written, in order and bounded: a queue of rows, and past its end one sum for each kind of
 * row, so that neither a flood nor a long outage grows memory and no count is lost.
 */
import type { Clock } from '../base/clock.ts';
import { createDistinctHosts, OTHER_HOSTS } from './distinct.ts';
import type { DecisionEvent, Event } from './event.ts';
import { addTo, createRepeats } from './repeats.ts';
import { type Row, rowOf } from './row.ts';

/** Rows in one transaction: few enough that others who share the store wait about 2 ms. */
const BATCH = 256;
/** Rows in one transaction where as many wait: they wait long already, and larger batches cost less a row. */
const LARGE_BATCH = 1_024;
/** Rows that may wait. Past them an allow is answered no. */
const MOST = 20_000;

export interface Pending {
  row: Row;
  /** The decision that waits for this row, until it is answered. */
  waiting: { event: DecisionEvent; answer: (recorded: boolean) => void } | null;
}

export interface Ledger {
  /** Calls `answer` once: true when committed. With `open` false an allow is not to be had: it is recorded as refused. */
  decide(event: DecisionEvent, open: boolean, answer: (recorded: boolean) => void): void;
  note(event: Event): void;
  /** The next rows to write, oldest first; none if nothing waits. */
  take(): Pending[];
  /** Rows that could not be written: they will be taken again, but every allow among them, and behind, is answered no. */
  giveBack(batch: Pending[]): void;
  /** Answers no to whoever waits in the queue. */
  refuseWaiting(): void;
  /** Moves repeated refusals whose second is over (or all) to the queue. */
  release(all: boolean): void;
  readonly repeating: boolean;
  /** Nothing waits to be written. */
  readonly isEmpty: boolean;
  /** A whole batch does. */
  readonly isFull: boolean;
}

export function createLedger(clock: Clock): Ledger {
  const distinct = createDistinctHosts();
  const repeats = createRepeats();
  const spilt = new Map<string, Row>();
  let queue: Pending[] = [];

  const enqueue = (pending: Pending) => {
    if (queue.length < MOST) queue.push(pending);
    // What has passed by now is not to be summed; its close says it again.
    else if (pending.row.cells.kind !== 'progress') {
      spill(spilt, pending.row);
      pending.waiting?.answer(false);
    }
  };
  const admit = (row: Row) => {
    const { cells, lane } = row;
    if (lane === 'notice') return;
    const host = cells.host as string;
    const variant = `${cells.port ?? ''} ${lane === 'through' ? '' : (cells.detail ?? '')}`;
    const countedAs = distinct.admit(row.agent, lane, host, variant, cells.time as number);
    if (countedAs === host) return;
    if (lane === 'through') row.countedAs = countedAs;
    else anonymise(row, countedAs);
  };
  const add = (event: Event, answer: ((recorded: boolean) => void) | null) => {
    const row = rowOf(event);
    admit(row);
    if (row.lane === 'refused' || row.lane === 'question') {
      if (repeats.absorb(row, clock.monotonic())) {
        answer?.(true);
        return;
      }
    }
    enqueue({ row, waiting: answer && event.kind === 'decision' ? { event, answer } : null });
  };
  const addRefused = (event: DecisionEvent) =>
    add({ ...event, verdict: 'deny', reason: 'audit-unavailable', rule: null }, null);

  return {
    decide(event, open, answer) {
      if (event.verdict === 'allow' && !(open && queue.length < MOST)) {
        addRefused(event);
        answer(false);
      } else if (open) add(event, answer);
      else {
        add(event, null);
        answer(false);
      }
    },
    note: (event) => add(event, null),
    take() {
      if (queue.length === 0 && spilt.size > 0) {
        queue = [...spilt.values()].map((row) => ({ row, waiting: null }));
        spilt.clear();
      }
      return queue.splice(0, queue.length < LARGE_BATCH ? BATCH : LARGE_BATCH);
    },
    giveBack(batch) {
      queue = [...batch, ...queue];
      this.refuseWaiting();
    },
    refuseWaiting() {
      const before = queue;
      queue = before.filter(({ row, waiting }) => waiting === null || row.lane !== 'through');
      for (const { row, waiting } of before) {
        if (waiting === null) continue;
        if (row.lane === 'through') addRefused(waiting.event);
        waiting.answer(false);
      }
      for (const pending of queue) pending.waiting = null;
    },
    release(all) {
      for (const row of repeats.release(clock.monotonic(), all)) enqueue({ row, waiting: null });
    },
    get repeating() {
      return repeats.waiting;
    },
    get isEmpty() {
      return queue.length === 0 && spilt.size === 0;
    },
    get isFull() {
      return queue.length >= BATCH;
    },
  };
}

/** Past the end of the queue, rows of one kind, outcome and reason become one. */
function spill(spilt: Map<string, Row>, row: Row): void {
  const { agent, lane, cells } = row;
  const key = JSON.stringify([agent, lane, cells.kind, cells.outcome, cells.reason]);
  const sum = spilt.get(key);
  if (sum !== undefined) {
    if (lane !== 'notice') addTo(sum, row);
    return;
  }
  if (lane !== 'notice') anonymise(row, OTHER_HOSTS);
  spilt.set(key, row);
}

/** Turns a row about one host into one about many. */
function anonymise(row: Row, host: string): void {
  row.countedAs = null;
  row.cells.host = host;
  row.cells.rule = null;
  if (row.lane !== 'question') {
    row.cells.port = 0;
    row.cells.connection = 0;
    row.cells.detail = null;
  }
}
