/**
 * Identical refusals within a second share a row. The first goes out at once, so that nobody waits to see it;
 * those that repeat it are counted and go out together when the second is over.
 */
import type { Cells, Row } from './row.ts';

const WINDOW = 1_000;

interface Held {
  since: number;
  /** What repeated the first, summed; null while nothing has. */
  row: Row | null;
}

export interface Repeats {
  /** True: keep quiet, it was counted with one like it. False: it is the first of its kind. */
  absorb(row: Row, now: number): boolean;
  /** Rows whose second is over; all of them if asked. */
  release(now: number, all?: boolean): Row[];
  /** Whether anything is remembered, and so has to be released later. */
  readonly waiting: boolean;
}

/** `now` is monotonic. */
export function createRepeats(): Repeats {
  const held = new Map<string, Held>();
  return {
    absorb(row, now) {
      const key = identityOf(row);
      const like = held.get(key);
      if (like === undefined || now - like.since >= WINDOW) {
        if (like?.row != null) return addTo(like.row, row);
        held.set(key, { since: now, row: null });
        return false;
      }
      if (like.row === null) like.row = row;
      else addTo(like.row, row);
      return true;
    },
    release(now, all = false) {
      const rows: Row[] = [];
      for (const [key, { since, row }] of held) {
        if (!all && now - since < WINDOW) continue;
        held.delete(key);
        if (row !== null) rows.push(row);
      }
      return rows;
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

/** Adds what `row` counts to `sum`. Always true. */
export function addTo(sum: Row, row: Row): true {
  for (const column of ['count', 'bytes_up', 'bytes_down', 'duration'] as const) {
    if (row.cells[column] !== null) {
      sum.cells[column] = ((sum.cells[column] as number | null) ?? 0) + (row.cells[column] as number);
    }
  }
  return true;
}
