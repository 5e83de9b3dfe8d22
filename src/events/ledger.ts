/**
 * What waits to be committed, in order and bounded: a queue of rows, each written down already, and past its end one
 * sum for each kind of row, so that neither a flood nor a long outage grows memory and no count is lost.
 */
import type { Clock } from '../base/clock.ts';
import { createDistinctHosts, OTHER_HOSTS } from './distinct.ts';
import type { DecisionEvent, Event } from './event.ts';
import type { Journal } from './journal.ts';
import { packed } from './packedrow.ts';
import { addedBy, addTo, createRepeats } from './repeats.ts';
import { type Row, rowOf } from './row.ts';

/** Rows in one transaction: few enough that others who share the store wait about 2 ms. */
const BATCH = 256;
/** Rows in one transaction where as many wait: they wait long already, and larger batches cost less a row. */
const LARGE_BATCH = 1_024;
/** Rows that may wait. Past them an allow is answered no. */
const MOST = 20_000;

/** A packed row as JSON, and its serial in the journal; 0: not there. */
export interface Pending {
  text: string;
  serial: number;
}

export interface Ledger {
  /**
   * Whether it is written down, for an allow. With `open` false there is none to be had: it is recorded as refused, and
   * so it is where it cannot be written down.
   */
  decide(event: DecisionEvent, open: boolean): boolean;
  note(event: Event): void;
  /** The next rows to commit, oldest first; none if nothing waits. */
  take(): Pending[];
  /** Rows that could not be committed: they will be taken again. */
  giveBack(batch: Pending[]): void;
  /** Moves repeated refusals whose second is over (or all) to the queue. */
  release(all: boolean): void;
  readonly repeating: boolean;
  /** Nothing waits to be committed. */
  readonly isEmpty: boolean;
  /** A whole batch does. */
  readonly isFull: boolean;
}

export function createLedger(clock: Clock, journal: Pick<Journal, 'append' | 'hold' | 'drop'>): Ledger {
  const distinct = createDistinctHosts();
  let isCrowded = false;
  const repeats = createRepeats((id, row, begins) => {
    isCrowded = !journal.hold(id, JSON.stringify(begins ? packed(row) : addedBy(row)));
  });
  const spilt = new Map<string, Row>();
  let queue: Pending[] = [];

  /** `held`: the number that it has been held under. */
  const enqueue = (row: Row, held = 0) => {
    if (queue.length < MOST) {
      const text = JSON.stringify(packed(row));
      queue.push({ text, serial: journal.append(text, held) });
      return;
    }
    // What has passed by now is not to be summed; its close says it again.
    if (row.cells.kind !== 'progress') spill(spilt, row);
    if (held > 0) journal.drop(held);
  };
  const release = (all: boolean) => {
    isCrowded = false;
    for (const { id, row } of repeats.release(clock.monotonic(), all)) enqueue(row, id);
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
  const admitted = (event: Event): Row => {
    const row = rowOf(event);
    admit(row);
    return row;
  };
  const add = (event: Event) => {
    const row = admitted(event);
    const mayRepeat = row.lane === 'refused' || row.lane === 'question';
    if (!mayRepeat || !repeats.absorb(row, clock.monotonic())) enqueue(row);
    if (isCrowded) release(true);
  };

  return {
    decide(event, open) {
      if (event.verdict !== 'allow') {
        add(event);
        return open;
      }
      if (open && queue.length < MOST) {
        const text = JSON.stringify(packed(admitted(event)));
        const serial = journal.append(text);
        if (serial > 0) {
          queue.push({ text, serial });
          return true;
        }
      }
      add({ ...event, verdict: 'deny', reason: 'audit-unavailable', rule: null });
      return false;
    },
    note: add,
    take() {
      if (queue.length === 0 && spilt.size > 0) {
        const sums = [...spilt.values()];
        spilt.clear();
        for (const row of sums) enqueue(row);
      }
      return queue.splice(0, queue.length < LARGE_BATCH ? BATCH : LARGE_BATCH);
    },
    giveBack(batch) {
      queue = [...batch, ...queue];
    },
    release,
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
