/** One batch, one transaction: the rows, their chains, the seal, the totals, how far a journal is in the store. All or nothing. */
import type { Database } from 'bun:sqlite';
import type { KeyObject } from 'node:crypto';
import { hashRow } from './chain.ts';
import { type Chain, createHeads } from './heads.ts';
import type { Mark } from './journal.ts';
import { COLUMNS, type Row, valuesOf } from './row.ts';
import { createTotalsWriter } from './totals.ts';

/** How long to wait for a program that holds the store locked and does not take turns, milliseconds. */
const PATIENCE = 300;

/** `mark`: how far a journal is committed with these rows. */
export type Commit = (rows: readonly Row[], mark?: Mark | null) => void;

/** Answers a function that commits rows in order. It throws what SQLite throws, and then nothing was written. */
export function createCommit(db: Database, key: KeyObject): Commit {
  const heads = createHeads(db, key);
  const writeTotals = createTotalsWriter(db);
  const insert = db.query(`
    INSERT INTO event (sequence, chain, ${COLUMNS.join(', ')}, hash)
    VALUES (?, ?, ${COLUMNS.map(() => '?').join(', ')}, ?)`);
  const writeMark = db.query(`
    INSERT INTO journal (id, serial) VALUES (?, ?)
    ON CONFLICT DO UPDATE SET serial = excluded.serial WHERE excluded.serial > serial`);
  return (rows, mark = null) => {
    begin(db);
    try {
      // Where that is known already, all of it was committed before.
      const isNew = mark === null || writeMark.run(mark.journal, mark.serial).changes > 0;
      if (!isNew) return db.run('ROLLBACK');
      heads.refresh();
      const changed = new Set<Chain>();
      for (const { agent, lane, cells } of rows) {
        const chain = heads.chain(agent, lane);
        const sequence = heads.nextSequence();
        chain.head = hashRow(chain.head, chain, sequence, cells);
        chain.length++;
        changed.add(chain);
        insert.run(sequence, chain.id, ...valuesOf(cells), chain.head);
      }
      writeTotals(rows);
      heads.save(changed);
      db.run('COMMIT');
    } catch (error) {
      heads.forget();
      if (db.inTransaction) db.run('ROLLBACK');
      throw error;
    }
  };
}

/** Begins a write transaction, trying again in fine steps where SQLite's own handler would sleep for milliseconds. */
export function begin(db: Database): void {
  const end = performance.now() + PATIENCE;
  for (;;) {
    try {
      db.run('BEGIN IMMEDIATE');
      return;
    } catch (error) {
      const busy = String((error as { code?: unknown }).code).startsWith('SQLITE_BUSY');
      if (!busy || performance.now() > end) throw error;
      Bun.sleepSync(0.2);
    }
  }
}
