/** Committed rows in the order of their sequence, as plain columns: there may be a hundred thousand of them a second. */
import type { Database } from 'bun:sqlite';
import { COLUMNS, cellsIn, eventOf, type StoredEvent, type Values } from '../../events/row.ts';
import type { Reason } from '../../policy/reason.ts';
import type { Countable } from './evaluation.ts';

export type RowValues = (string | number | null)[];

const at = (column: (typeof COLUMNS)[number]) => 2 + COLUMNS.indexOf(column);

const TIME = at('time');
const KIND = at('kind');
const SESSION = at('session');
const HOST = at('host');
const CONNECTION = at('connection');
const OUTCOME = at('outcome');
const REASON = at('reason');
const RULE = at('rule');
const COUNT = at('count');
const BYTES_UP = at('bytes_up');
const BYTES_DOWN = at('bytes_down');

const SELECT = `SELECT sequence, chain, ${COLUMNS.join(', ')} FROM event`;

/** One row as it was read; the same object for every row. */
export class RowView implements Countable {
  values: RowValues = [];
  agent = '';

  get sequence(): number {
    return this.values[0] as number;
  }
  get time(): number {
    return this.values[TIME] as number;
  }
  get kind(): string {
    return this.values[KIND] as string;
  }
  get session(): string {
    return this.values[SESSION] as string;
  }
  get host(): string | null {
    return this.values[HOST] as string | null;
  }
  get outcome(): string | null {
    return this.values[OUTCOME] as string | null;
  }
  get reason(): Reason | null {
    return this.values[REASON] as Reason | null;
  }
  get rule(): string | null {
    return this.values[RULE] as string | null;
  }
  get count(): number {
    return this.values[COUNT] as number;
  }
  get connection(): number | null {
    return this.values[CONNECTION] as number | null;
  }
  get bytesUp(): number {
    return (this.values[BYTES_UP] as number | null) ?? 0;
  }
  set bytesUp(octets: number) {
    this.values[BYTES_UP] = octets;
  }
  get bytesDown(): number {
    return (this.values[BYTES_DOWN] as number | null) ?? 0;
  }
  set bytesDown(octets: number) {
    this.values[BYTES_DOWN] = octets;
  }

  event(): StoredEvent {
    const [sequence, , ...values] = this.values as [number, number, ...Values];
    return eventOf(sequence, this.agent, cellsIn(values));
  }
}

/** Names of agents by the number of their chain; chains are only ever added. */
export type Agents = Map<number, string>;

/** Calls `visit` for the rows after a sequence number, up to `limit` of them; answers how many there were. */
export function visitRows(
  db: Database,
  agents: Agents,
  after: number,
  until: number,
  limit: number,
  visit: (row: RowView) => void,
): number {
  const query = db.query(`${SELECT} WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?`);
  return visitAll(db, agents, query.values(after, until, limit) as RowValues[], visit);
}

/** The notices of these topics since then, oldest first; few rows are notices, and they have chains of their own. */
export function visitNotices(
  db: Database,
  agents: Agents,
  topics: readonly string[],
  since: number,
  until: number,
  visit: (row: RowView) => void,
): void {
  const query = db.query(`
    ${SELECT} WHERE chain IN (SELECT id FROM chain WHERE lane = 'notice') AND time >= ? AND sequence <= ?
      AND outcome IN (SELECT value FROM json_each(?)) ORDER BY sequence`);
  visitAll(db, agents, query.values(since, until, JSON.stringify(topics)) as RowValues[], visit);
}

/** The last sequence number given; 0 where the store is empty. */
export function lastSequence(db: Database): number {
  return (db.query('SELECT sequence FROM seal').get() as { sequence: number } | null)?.sequence ?? 0;
}

function visitAll(
  db: Database,
  agents: Agents,
  rows: readonly RowValues[],
  visit: (row: RowView) => void,
): number {
  const view = new RowView();
  for (const values of rows) {
    view.values = values;
    let agent = agents.get(values[1] as number);
    if (agent === undefined) {
      for (const [id, name] of db.query('SELECT id, agent FROM chain').values() as [number, string][])
        agents.set(id, name);
      agent = agents.get(values[1] as number) ?? '';
    }
    view.agent = agent;
    visit(view);
  }
  return rows.length;
}
