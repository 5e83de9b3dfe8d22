/** What can be asked of the store. Read-only; works while gateways write and before there is a store. */
import type { Database } from 'bun:sqlite';
import type { Reason } from '../policy/reason.ts';
import { blocked, hostsUsed } from './activity.ts';
import { createReading } from './reading.ts';
import { type Cells, COLUMNS, eventOf, type StoredEvent } from './row.ts';
import { emptyStats, statsOf } from './stats.ts';

/** Wall time in milliseconds, from `since` up to but without `until`; every agent where none is named. */
export interface Filter {
  since: number;
  until: number;
  agent?: string | undefined;
}

export interface Blocked {
  /** In parentheses where it stands for many (see distinct.ts); its port is then 0. */
  host: string;
  port: number;
  agent: string;
  reason: Reason;
  count: number;
  first: number;
  last: number;
}

export interface HostUse {
  agent: string;
  host: string;
  /** When it was last let through. */
  last: number;
  /** Times that it was let through in the last 24 hours. */
  count: number;
}

export interface Tally {
  requests: number;
  allowed: number;
  blocked: number;
  /** Allowed, but the origin was not reached or broke off. */
  failed: number;
  bytesUp: number;
  bytesDown: number;
}

export interface Stats extends Tally {
  /** How many different ones. */
  hosts: number;
  blockedHosts: number;
  agents: number;
  /** Equal stretches of the time asked about, oldest first. */
  spark: { requests: number; blocked: number }[];
  topHosts: (Tally & { host: string })[];
  topBlocked: (Tally & { host: string })[];
  /** Never blocked before `since`; at most 100, latest first. */
  newBlockedHosts: string[];
  /** One for each host or agent where asked for, most requests first; otherwise empty. */
  groups: (Tally & { name: string })[];
}

export interface Queries {
  /** Most often blocked first. */
  blocked(filter: Filter): Blocked[];
  stats(filter: Filter & { by?: 'host' | 'agent' | undefined }): Stats;
  /** Hosts that were ever let through, for as long as the store remembers. */
  lastUse(now: number): HostUse[];
  /** Rows after this sequence number, oldest first. */
  tail(after: number, limit: number): StoredEvent[];
  /** The last sequence number given, 0 for none. */
  lastSequence(): number;
  event(sequence: number): StoredEvent | null;
  close(): void;
}

const SELECT = `
  SELECT event.sequence, chain.agent, ${COLUMNS.map((column) => `event.${column}`).join(', ')}
  FROM event JOIN chain ON chain.id = event.chain`;

type EventColumns = Cells & { sequence: number; agent: string };

export function openQueries(path: string): Queries {
  const { ask, close } = createReading(path);
  /** Of one moment: totals are evicted while they are asked for. */
  const askAtOnce = <T>(empty: T, question: (db: Database) => T) =>
    ask(empty, (db) => db.transaction(() => question(db))());
  return {
    blocked: (filter) => askAtOnce([], (db) => blocked(db, filter, Date.now())),
    stats: (filter) => askAtOnce(emptyStats(), (db) => statsOf(db, filter, Date.now())),
    lastUse: (now) => askAtOnce([], (db) => hostsUsed(db, now)),
    tail: (after, limit) =>
      ask([], (db) => {
        const query = db.query(`${SELECT} WHERE event.sequence > ? ORDER BY event.sequence LIMIT ?`);
        return (query.all(after, limit) as EventColumns[]).map(toEvent);
      }),
    lastSequence: () =>
      ask(
        0,
        (db) => (db.query('SELECT sequence FROM seal').get() as { sequence: number } | null)?.sequence ?? 0,
      ),
    event: (sequence) =>
      ask(null, (db) => {
        const row = db.query(`${SELECT} WHERE event.sequence = ?`).get(sequence) as EventColumns | null;
        return row === null ? null : toEvent(row);
      }),
    close,
  };
}

function toEvent({ sequence, agent, ...cells }: EventColumns): StoredEvent {
  return eventOf(sequence, agent, cells);
}
