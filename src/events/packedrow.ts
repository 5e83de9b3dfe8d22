/** Rows on their way to the store, as JSON: in a journal, and between the threads. An array does not name the columns. */
import { COLUMNS, type Column, cellsIn, LANES, type Lane, type Row, type Values, valuesOf } from './row.ts';

/** Its cells are in the order of COLUMNS. */
export type PackedRow = [agent: string, lane: Lane, countedAs: string | null, ...cells: Values];

export function packed({ agent, lane, countedAs, cells }: Row): PackedRow {
  return [agent, lane, countedAs, ...valuesOf(cells)];
}

export function unpacked([agent, lane, countedAs, ...values]: PackedRow): Row {
  return { agent, lane, countedAs, cells: cellsIn(values) };
}

const TEXTS: ReadonlySet<Column> = new Set<Column>([
  'kind',
  'session',
  'protocol',
  'host',
  'outcome',
  'reason',
  'rule',
  'detail',
]);
const NEVER_NULL: ReadonlySet<Column> = new Set(['time', 'kind', 'session', 'count']);

/** Whether it is a packed row that the store takes, no more and no less. */
export function isPackedRow(value: unknown): value is PackedRow {
  if (!Array.isArray(value)) return false;
  const [agent, lane, countedAs, ...cells] = value;
  if (typeof agent !== 'string' || !LANES.includes(lane as Lane) || cells.length !== COLUMNS.length)
    return false;
  if (countedAs !== null && typeof countedAs !== 'string') return false;
  return COLUMNS.every((column, i) => {
    if (cells[i] === null) return !NEVER_NULL.has(column);
    return TEXTS.has(column) ? typeof cells[i] === 'string' : Number.isSafeInteger(cells[i]);
  });
}
