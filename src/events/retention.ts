/**
 * Keeps the store within its age and size, a little at a time. Each agent's lanes are evicted from their
 * beginning, so a chain stays a chain: where it now begins is part of what is sealed. When space is short, the
 * agent that holds most gives: of its lanes the longest, or, where most of it is totals and hosts, those (see folding.ts).
 * A flood pays for itself, whoever caused it.
 */
import type { Database } from 'bun:sqlite';
import type { KeyObject } from 'node:crypto';
import { begin } from './commit.ts';
import { createFolding, type Held } from './folding.ts';
import { type Chain, createHeads, type Heads } from './heads.ts';
import type { Limits } from './limits.ts';
import { type Belief, believe } from './steadiness.ts';
import { SPANS } from './totals.ts';

/** How long totals of each span are kept, milliseconds; longer ones for as long as rows. */
export const KEPT = { second: 3_600_000, minute: 8 * 86_400_000 } as const;
/** Where space is short, minutes are kept for this long only. */
export const KEPT_AT_LEAST = 86_400_000;
/** Rows in one step: about half a millisecond. */
const STEP = 200;
/** Milliseconds between looks for hosts to forget, which read all of them. */
const FORGET = 3_600_000;
/** Milliseconds between looks at how many totals and hosts each agent has, which read all of them. */
const WEIGH = 600_000;
/** Octets of a row, a total and a host with what they take in indexes: about. */
const OCTETS = { row: 300, total: 80, host: 200 };

/**
 * Answers a function that does one step and says whether there may be more to do. `now` is wall time; `isSteady`: as far as
 * this program has seen (see steadiness.ts). Nothing goes by age where it is not. It reads first, and only evicts in turn.
 */
export function createRetention(
  db: Database,
  key: KeyObject,
  limits: Limits,
  inTurn: <T>(work: () => T) => T,
): (now: number, isSteady: boolean) => boolean {
  const heads = createHeads(db, key);
  const oldest = db.query('SELECT time FROM event WHERE chain = ? ORDER BY sequence LIMIT 1');
  const pages = db.query(`
    SELECT (page_count - freelist_count) * page_size AS used
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size`);
  const first = db.query('SELECT sequence, time, hash FROM event WHERE chain = ? ORDER BY sequence LIMIT ?');
  const evictRows = db.query('DELETE FROM event WHERE chain = ? AND sequence <= ?');
  const evictTotals = db.query('DELETE FROM total WHERE span = ? AND start < ? LIMIT ?');
  const forgetHosts = db.query(
    'DELETE FROM host WHERE id IN (SELECT value FROM json_each(?1)) AND last_seen < ?2',
  );
  const forgotten = db.query('SELECT id FROM host WHERE last_seen < ? LIMIT ?');

  const evict = (chain: Chain, isOld: (time: number) => boolean): boolean => {
    const rows = first.all(chain.id, STEP) as { sequence: number; time: number; hash: Uint8Array }[];
    const kept = rows.findIndex(({ time }) => !isOld(time));
    const count = kept === -1 ? rows.length : kept;
    const last = rows[count - 1];
    if (last === undefined) return false;
    evictRows.run(chain.id, last.sequence);
    chain.base += count;
    chain.baseHash = last.hash;
    heads.save([chain]);
    return true;
  };
  const folding = createFolding(db);
  let weights = new Map<string, Held>();
  let nextWeigh = Number.NEGATIVE_INFINITY;
  /** Who has to make room, and with what. */
  const payer = (): { chain: Chain | null; folder: string | null } => {
    if (performance.now() >= nextWeigh) {
      weights = folding.weigh();
      nextWeigh = performance.now() + WEIGH;
    }
    for (;;) {
      const { agent, chain, totals, rows } = largest(heads.all(), weights);
      if (agent === null || totals <= rows) return { chain, folder: null };
      if (folding.prepare(agent)) return { chain, folder: agent };
      // Until they are weighed again.
      weights.delete(agent);
    }
  };
  const fold = (agent: string): boolean => {
    const gone = folding.step();
    const held = weights.get(agent)!;
    weights.set(agent, { totals: held.totals - gone.totals, hosts: held.hosts - gone.hosts });
    return true;
  };
  const evictOldTotals = (span: number, before: number) => evictTotals.run(span, before, STEP).changes > 0;

  let nextForget = 0;
  /** A day later than the last totals that name them. */
  const hostsToForget = (now: number, before: number): number[] => {
    if (now < nextForget) return [];
    const ids = (forgotten.values(before, STEP) as [number][]).flat();
    if (ids.length < STEP) nextForget = now + FORGET;
    return ids;
  };

  const readBelief = db.query('SELECT believed, doubted FROM clock');
  const writeBelief = db.query('INSERT OR REPLACE INTO clock (id, believed, doubted) VALUES (1, ?, ?)');
  return (now, isSteady) => {
    const before = (readBelief.get() as Belief | null) ?? { believed: null, doubted: null };
    const belief = isSteady ? believe(before, now) : before;
    const mayAge = belief.believed === now;
    const cutoff = mayAge ? now - limits.age : Number.MIN_SAFE_INTEGER;
    heads.refresh();
    const expired = heads.all().find((chain) => {
      const row = oldest.get(chain.id) as { time: number } | null;
      return row !== null && row.time < cutoff;
    });
    const full = (pages.get() as { used: number }).used > limits.bytes;
    const { chain: longest, folder } = full ? payer() : { chain: null, folder: null };
    const lost = mayAge ? hostsToForget(now, cutoff - KEPT_AT_LEAST) : [];
    const evictAll = () => {
      if (isWorthKeeping(before, belief)) writeBelief.run(belief.believed, belief.doubted);
      const again = [
        mayAge && evictOldTotals(SPANS.second, now - KEPT.second),
        mayAge && evictOldTotals(SPANS.minute, now - (full ? KEPT_AT_LEAST : KEPT.minute)),
        mayAge && evictOldTotals(SPANS.hour, cutoff),
        mayAge && evictOldTotals(SPANS.quarterDay, cutoff),
      ];
      if (lost.length > 0) forgetHosts.run(JSON.stringify(lost), cutoff - KEPT_AT_LEAST);
      if (expired !== undefined) {
        const chain = heads.chain(expired.agent, expired.lane);
        again.push(evict(chain, (time) => time < cutoff));
      } else if (full && !again[1]) {
        if (folder !== null) again.push(fold(folder));
        else if (longest !== null) again.push(evict(heads.chain(longest.agent, longest.lane), () => true));
      }
      return again.includes(true) || lost.length === STEP;
    };
    try {
      return inTurn(() => inTransaction(db, heads, evictAll));
    } catch (error) {
      folding.forget();
      nextWeigh = Number.NEGATIVE_INFINITY;
      throw error;
    }
  };
}

/** Not what follows on the last that was believed, more often than once a minute. */
function isWorthKeeping(before: Belief, { believed, doubted }: Belief): boolean {
  if (before.doubted !== doubted || before.believed === null) return true;
  return believed !== null && Math.abs(believed - before.believed) >= SPANS.minute;
}

interface Largest {
  /** Who holds most; null where nobody holds anything. */
  agent: string | null;
  /** The longest of its lanes. */
  chain: Chain | null;
  /** Octets, about: of its totals and hosts, and of its rows. */
  totals: number;
  rows: number;
}

function largest(chains: readonly Chain[], weights: ReadonlyMap<string, Held>): Largest {
  const lengthOf = (chain: Chain) => chain.length - chain.base;
  const rowsOf = new Map<string, number>();
  for (const chain of chains) rowsOf.set(chain.agent, (rowsOf.get(chain.agent) ?? 0) + lengthOf(chain));
  let most: Largest = { agent: null, chain: null, totals: 0, rows: 0 };
  for (const agent of new Set([...rowsOf.keys(), ...weights.keys()])) {
    const held = weights.get(agent) ?? { totals: 0, hosts: 0 };
    const totals = held.totals * OCTETS.total + held.hosts * OCTETS.host;
    const rows = (rowsOf.get(agent) ?? 0) * OCTETS.row;
    if (totals + rows > most.totals + most.rows) most = { agent, chain: null, totals, rows };
  }
  const lanes = chains.filter((chain) => chain.agent === most.agent);
  return { ...most, chain: lanes.sort((a, b) => lengthOf(b) - lengthOf(a))[0] ?? null };
}

function inTransaction<T>(db: Database, heads: Heads, work: () => T): T {
  begin(db);
  try {
    heads.refresh();
    const result = work();
    db.run('COMMIT');
    return result;
  } catch (error) {
    heads.forget();
    if (db.inTransaction) db.run('ROLLBACK');
    throw error;
  }
}
