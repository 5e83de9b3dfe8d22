/**
 * Identical refusals within a second share a row. The first goes out at once, so that nobody waits to see it;
 * those that repeat it are counted and go out together when the second is over; until then each is written down.
 */
import type { Cells, Row } from './row.ts';

const WINDOW = 1_000;

interface Held {
  since: number;
  /** What repeated the first, summed, and its number; null while nothing has. */
  sum: Sum | null;
}

/** A row to come, under a number of its own. */
export interface Sum {
  id: number;
  row: Row;
}

export interface Repeats {
  /** True: keep quiet, it was counted with one like it. False: it is the first of its kind. */
  absorb(row: Row, now: number): boolean;
  /** Sums whose second is over; all of them if asked. */
  release(now: number, all?: boolean): Sum[];
  /** Whether anything is remembered, and so has to be released later. */
  readonly waiting: boolean;
}

/** `now` is monotonic. `hold` is told of each that repeats another, `begins`: of the first that does, with which a sum begins. */
export function createRepeats(hold: (id: number, row: Row, begins: boolean) => void): Repeats {
  const held = new Map<string, Held>();
  let last = 0;
  const begin = (row: Row): Sum => {
    const sum = { id: ++last, row };
    hold(sum.id, row, true);
    return sum;
  };
  const add = ({ id, row: sum }: Sum, row: Row): true => {
    hold(id, row, false);
    return addTo(sum, row);
  };
  return {
    absorb(row, now) {
      const key = identityOf(row);
      const like = held.get(key);
      if (like === undefined || now - like.since >= WINDOW) {
        if (like?.sum != null) return add(like.sum, row);
        held.set(key, { since: now, sum: null });
        return false;
      }
      if (like.sum !== null) return add(like.sum, row);
      like.sum = begin(row);
      return true;
    },
    release(now, all = false) {
      const sums: Sum[] = [];
      for (const [key, { since, sum }] of held) {
        if (!all && now - since < WINDOW) continue;
        held.delete(key);
        if (sum !== null) sums.push(sum);
      }
      return sums;
    },
    get waiting() {
      return held.size > 0;
    },
  };
}

const SAME: readonly (keyof Cells)[] = [
  'kind',
  'session',
  'protocol',
  'host',
  'port',
  'outcome',
  'reason',
  'rule',
  'detail',
];

function identityOf(row: Row): string {
  return JSON.stringify([row.agent, row.lane, ...SAME.map((column) => row.cells[column])]);
}

const ADDED = ['count', 'bytes_up', 'bytes_down', 'duration'] as const;

/** What `row` adds to a sum: numbers, and null for what it has not. */
export function addedBy({ cells }: Row): (number | null)[] {
  return ADDED.map((column) => cells[column] as number | null);
}

/** Adds what `row` counts to `sum`. Always true. */
export function addTo(sum: Row, row: Row): true {
  return addAll(sum, addedBy(row));
}

export function addAll(sum: Row, added: readonly (number | null)[]): true {
  for (const [i, column] of ADDED.entries()) {
    const value = added[i] ?? null;
    if (value !== null) sum.cells[column] = ((sum.cells[column] as number | null) ?? 0) + value;
  }
  return true;
}
