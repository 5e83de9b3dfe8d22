/**
 * One engine on a machine. Its holder has a file locked, which the kernel frees when it dies, however that happens;
 * and it beats in the database, so that a holder that only stands still (stopped, hung) is replaced too. Who holds it
 * is a number in the database that grows with every holder and is looked at inside each transaction: one that was
 * replaced without noticing can commit nothing.
 */
import type { Database } from 'bun:sqlite';
import { closeSync, openSync } from 'node:fs';
import { lockFile } from '../../os/lock.ts';

/** Milliseconds between beats, and without one after which a holder is replaced. Monotonic time of whoever looks. */
export const BEAT = 2_000;
const STALE = 8_000;

export class LeaseLost extends Error {}

export class Lease {
  readonly #db: Database;
  readonly #path: string;
  readonly #owner = crypto.randomUUID();
  #fd: number | null = null;
  #epoch: number | null = null;
  #seen: { beat: string; since: number } | null = null;

  /** `path` of the database. */
  constructor(db: Database, path: string) {
    this.#db = db;
    this.#path = `${path}.lock`;
  }

  get isHeld(): boolean {
    return this.#epoch !== null;
  }

  /** Tries to take it; `now` is monotonic. */
  seek(now: number): boolean {
    if (this.isHeld) return true;
    if (!this.#lock() && !this.#isStale(now)) return false;
    this.#seen = null;
    const { epoch } = this.#db
      .query(
        `INSERT INTO lease (id, owner, epoch, beat) VALUES (1, ?, 1, 0)
         ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, epoch = epoch + 1, beat = 0 RETURNING epoch`,
      )
      .get(this.#owner) as { epoch: number };
    this.#epoch = epoch;
    return true;
  }

  /** Inside a transaction: throws LeaseLost where somebody else holds it by now; shows that this one lives. */
  beat(): void {
    const { changes } = this.#db
      .query('UPDATE lease SET beat = beat + 1 WHERE epoch = ? AND owner = ?')
      .run(this.#epoch, this.#owner);
    if (changes > 0) return;
    this.release();
    throw new LeaseLost('another engine evaluates now');
  }

  release(): void {
    this.#epoch = null;
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #lock(): boolean {
    const fd = openSync(this.#path, 'a', 0o600);
    if (lockFile(fd, false)) {
      this.#fd = fd;
      return true;
    }
    closeSync(fd);
    return false;
  }

  #isStale(now: number): boolean {
    const row = this.#db.query('SELECT epoch, beat FROM lease').get() as {
      epoch: number;
      beat: number;
    } | null;
    const beat = row === null ? '' : `${row.epoch} ${row.beat}`;
    if (this.#seen?.beat === beat) return now - this.#seen.since > STALE;
    this.#seen = { beat, since: now };
    return false;
  }
}
