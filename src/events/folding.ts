/**
 * Counts the hosts of one agent together, as `(other)`, where there is no space for each: those it never was let through
 * to first, and of them those that were longest not seen. Its sums stay what they were.
 */
import type { Database } from 'bun:sqlite';
import { OTHER_HOSTS } from './distinct.ts';

/** Hosts that are looked for at once, which reads all totals, and totals of theirs that are remembered. */
const HOSTS = 20_000;
const TOTALS = 100_000;
/** Hosts of an agent, fewer than which are no flood, and not worth reading all totals for. */
const FEW = 200;
/** Totals or hosts in one step. */
const STEP = 200;

export interface Held {
  totals: number;
  hosts: number;
}

type Key = [span: number, start: number, host: number, port: number, reason: string];

interface Plan {
  agent: string;
  /** The last sequence number when it was made: hosts that rows came for since are kept. */
  sequence: number;
  totals: Key[];
  hosts: number[];
}

export interface Folding {
  /** How many totals and hosts each agent has. Reads all of them. */
  weigh(): Map<string, Held>;
  /** Finds what to count together, unless that is known. False where there is nothing. Reads only. */
  prepare(agent: string): boolean;
  /** Does a part of it, in a transaction, and answers how much went. */
  step(): Held;
  /** Forgets what it knows, after a transaction that did not commit. */
  forget(): void;
}

export function createFolding(db: Database, few = FEW): Folding {
  const weights = db.query(`
    SELECT agent, count(*) AS hosts, coalesce(sum(n), 0) AS totals FROM host
    LEFT JOIN (SELECT host, count(*) AS n FROM total GROUP BY host) AS total ON total.host = host.id
    GROUP BY agent`);
  const candidates = db.query(`
    SELECT id FROM host WHERE agent = ? AND name NOT LIKE '(%'
    ORDER BY last_allowed IS NOT NULL, last_seen LIMIT ${HOSTS}`);
  const totalsOf = db.query(`
    SELECT span, start, host, port, reason FROM total
    WHERE host IN (SELECT value FROM json_each(?)) LIMIT ${TOTALS}`);
  const lastSequence = db.query('SELECT sequence FROM seal');
  const takeTotal = db.query(`
    DELETE FROM total WHERE span = ? AND start = ? AND host = ? AND port = ? AND reason = ?
    RETURNING span, start, reason, requests, allowed, blocked, failed, questions, bytes_up, bytes_down, first, last`);
  const addTotal = db.query(`
    INSERT INTO total (host, port, span, start, reason,
      requests, allowed, blocked, failed, questions, bytes_up, bytes_down, first, last)
    VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, allowed = allowed + excluded.allowed,
      blocked = blocked + excluded.blocked, failed = failed + excluded.failed,
      questions = questions + excluded.questions, bytes_up = bytes_up + excluded.bytes_up,
      bytes_down = bytes_down + excluded.bytes_down, first = min(first, excluded.first),
      last = max(last, excluded.last)`);
  const other = db.query(`
    INSERT INTO host (name, agent, last_seen) VALUES ('${OTHER_HOSTS}', ?, 0)
    ON CONFLICT DO UPDATE SET name = name RETURNING id`);
  const seeOther = db.query(`
    UPDATE host SET (first_blocked, last_blocked, last_allowed, last_seen) = (
      SELECT min(first_blocked), max(last_blocked), max(last_allowed), max(last_seen) FROM host
      WHERE id = ?1 OR id IN (SELECT value FROM json_each(?2)))
    WHERE id = ?1`);
  const forgetHosts = db.query(`
    DELETE FROM host WHERE id IN (SELECT value FROM json_each(?1))
      AND name NOT IN (SELECT host FROM event WHERE sequence > ?2 AND host IS NOT NULL)`);

  let plan: Plan | null = null;
  const planFor = (agent: string): Plan => {
    // What is committed while this is read was not seen, and is not forgotten.
    const sequence = (lastSequence.values()[0] as [number])[0];
    const hosts = (candidates.values(agent) as [number][]).flat();
    if (hosts.length < few) return { agent, sequence, totals: [], hosts: [] };
    const totals = totalsOf.values(JSON.stringify(hosts)) as Key[];
    // Hosts go once all their totals are gone.
    return { agent, sequence, totals, hosts: totals.length < TOTALS ? hosts : [] };
  };
  return {
    weigh() {
      const rows = weights.all() as (Held & { agent: string })[];
      return new Map(rows.map(({ agent, hosts, totals }) => [agent, { hosts, totals }]));
    },
    prepare(agent) {
      if (plan?.agent !== agent || (plan.totals.length === 0 && plan.hosts.length === 0))
        plan = planFor(agent);
      return plan.totals.length > 0 || plan.hosts.length > 0;
    },
    step() {
      const { agent, sequence, totals, hosts } = plan!;
      const { id } = other.get(agent) as { id: number };
      const keys = totals.splice(0, STEP);
      for (const key of keys)
        for (const taken of takeTotal.values(...key)) addTotal.run(id, ...(taken as number[]));
      if (keys.length > 0) return { totals: keys.length, hosts: 0 };
      const gone = hosts.splice(0, STEP);
      seeOther.run(id, JSON.stringify(gone));
      forgetHosts.run(JSON.stringify(gone), sequence);
      return { totals: 0, hosts: gone.length };
    },
    forget() {
      plan = null;
    },
  };
}
