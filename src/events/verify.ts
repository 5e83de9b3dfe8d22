/**
 * Checks the store against itself and against the key file: every row against its chain, the chains against the seal,
 * and what was counted against the rows. It names the first row that is wrong. What it cannot see: that the whole store
 * was put back to an earlier state, or changed by somebody who has the key.
 */
import { Database } from 'bun:sqlite';
import type { KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { settle } from './abandoned.ts';
import { type ChainState, hashRow } from './chain.ts';
import { isSealed, keyFileOf, lineOf, verifyingKey } from './checkpoint.ts';
import { createRecount } from './recount.ts';
import type { Cells, Lane } from './row.ts';
import { movedAside } from './store.ts';

export type Verification =
  /** `rows` are there and good; `evicted` went by age or size, as the seal says. */
  | { ok: true; rows: number; evicted: number }
  /** `row`: the sequence number where it first goes wrong, where there is one to name. */
  | { ok: false; row: number | null; problem: string };

type EventColumns = Cells & { sequence: number; chain: number; hash: Uint8Array };

interface ChainColumns {
  id: number;
  agent: string;
  lane: Lane;
  base: number;
  base_hash: Uint8Array;
  length: number;
  head: Uint8Array;
}

const EMPTY: Verification = { ok: true, rows: 0, evicted: 0 };

/**
 * Reads the whole store once. A store that does not exist yet is good and empty; one that has existed left its key, and has
 * been sealed ever since (see sealed.ts). Never throws.
 */
export function verifyStore(path: string): Verification {
  if (!existsSync(path)) {
    // A damaged one that was moved aside is told of elsewhere, and the next gateway begins anew.
    if (!existsSync(keyFileOf(path)) || movedAside(path).some((name) => !name.includes('.corrupt-journal-')))
      return EMPTY;
    return bad(null, `it was removed: its key is still there, in ${keyFileOf(path)}`);
  }
  let db: Database | null = null;
  try {
    settle(path);
    const key = verifyingKey(path);
    db = new Database(path, { readonly: true });
    db.run('PRAGMA busy_timeout = 1000');
    db.run('BEGIN');
    if (key === null) {
      // A store that could not be finished (a full disk) has nothing in it.
      if (isBlank(db)) return EMPTY;
      return bad(null, `the key file ${keyFileOf(path)} is missing`);
    }
    return verifyRows(db, key, keyFileOf(path));
  } catch (error) {
    return bad(null, `the store cannot be read: ${(error as Error).message}`);
  } finally {
    db?.close();
  }
}

function isBlank(db: Database): boolean {
  const { tables } = db.query('SELECT count(*) AS tables FROM sqlite_schema').get() as { tables: number };
  const parts = ['chain', 'event', 'seal', 'total', 'host'].map((table) => `SELECT 1 FROM ${table}`);
  return (
    tables === 0 || db.query(`SELECT EXISTS (${parts.join(' UNION ALL ')}) AS found`).values()[0]![0] === 0
  );
}

interface Progress {
  sealed: ChainState;
  hash: Uint8Array;
  rows: number;
  last: number | null;
}

function verifyRows(db: Database, key: KeyObject, keyFile: string): Verification {
  const chains = new Map<number, Progress>();
  for (const row of db.query('SELECT * FROM chain ORDER BY id').iterate() as Iterable<ChainColumns>) {
    const sealed: ChainState = { ...row, baseHash: row.base_hash };
    chains.set(row.id, { sealed, hash: row.base_hash, rows: 0, last: null });
  }
  const recount = createRecount(Date.now());
  const query = db.query('SELECT * FROM event ORDER BY sequence');
  for (const { sequence, chain, hash, ...cells } of query.iterate() as Iterable<EventColumns>) {
    const progress = chains.get(chain);
    if (progress === undefined) return bad(sequence, `row ${sequence} belongs to no chain`);
    const expected = hashRow(progress.hash, progress.sealed, sequence, cells);
    if (!same(expected, hash)) {
      const before = progress.last === null ? 'the first that was not evicted' : `row ${progress.last}`;
      return bad(sequence, `row ${sequence} was changed, or rows between it and ${before} are missing`);
    }
    progress.hash = hash;
    progress.rows++;
    progress.last = sequence;
    recount.add(progress.sealed.agent, cells);
  }
  const verified = verifyEnds(db, key, keyFile, [...chains.values()]);
  if (!verified.ok) return verified;
  const evicted = new Set(
    [...chains.values()].flatMap(({ sealed }) => (sealed.base > 0 ? sealed.agent : [])),
  );
  const difference = recount.compare(db, (agent) => !evicted.has(agent));
  return difference === null ? verified : bad(null, difference);
}

function verifyEnds(
  db: Database,
  key: KeyObject,
  keyFile: string,
  chains: readonly Progress[],
): Verification {
  let rows = 0;
  let evicted = 0;
  for (const { sealed, hash, rows: found, last } of chains) {
    const expected = sealed.length - sealed.base;
    const after = last === null ? '' : ` after row ${last}`;
    if (found < expected) {
      return bad(last, `${expected - found} rows of ${nameOf(sealed)} are missing${after}`);
    }
    if (found > expected || !same(hash, sealed.head)) {
      return bad(last, `the chain of ${nameOf(sealed)} does not end as the seal says`);
    }
    rows += found;
    evicted += sealed.base;
  }
  const seal = db.query('SELECT sequence, signature FROM seal').get() as {
    sequence: number;
    signature: Uint8Array;
  } | null;
  if (seal === null) {
    return bad(null, chains.length === 0 ? 'it was emptied: the seal is missing' : 'the seal is missing');
  }
  if (seal.sequence !== rows + evicted) {
    return bad(null, `${seal.sequence} rows were sealed, but there are or were ${rows + evicted}`);
  }
  const lines = chains.map(({ sealed }) => lineOf(sealed));
  if (!isSealed(key, seal.sequence, lines, seal.signature)) {
    return bad(null, `where the chains begin and end was not sealed with the key in ${keyFile}`);
  }
  return { ok: true, rows, evicted };
}

function nameOf({ agent, lane }: ChainState): string {
  return `agent ${JSON.stringify(agent)} (${lane})`;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function bad(row: number | null, problem: string): Verification {
  return { ok: false, row, problem };
}
