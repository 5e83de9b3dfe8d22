/** What detectors remember, kept with everything else that follows from the rows up to the cursor. */
import type { Database } from 'bun:sqlite';
import type { Memory } from '../detectors/detector.ts';

/** Past these, what was not asked for longest is forgotten. */
const MOST = 200_000;
const FEWER = 180_000;
const MOST_CACHED = 20_000;
/** How exactly it is known when something was asked for, milliseconds. */
const DAY = 86_400_000;
/** New keys between looks at how many there are. */
const LOOK = 1_000;

export class KeptMemory implements Memory {
  readonly #db: Database;
  readonly #now: () => number;
  readonly #cache = new Map<string, number | null>();
  readonly #changed = new Map<string, number>();
  #added = LOOK;

  /** `now`: wall time. */
  constructor(db: Database, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  get(key: string): number | null {
    const changed = this.#changed.get(key);
    if (changed !== undefined) return changed;
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const row = this.#db.query('SELECT value, used FROM memory WHERE key = ?').get(key) as {
      value: number;
      used: number;
    } | null;
    if (row !== null && row.used < this.#now() - DAY) this.#changed.set(key, row.value);
    this.#remember(key, row?.value ?? null);
    return row?.value ?? null;
  }

  set(key: string, value: number): void {
    this.#changed.set(key, value);
    this.#remember(key, value);
  }

  get isChanged(): boolean {
    return this.#changed.size > 0;
  }

  /** Call inside the transaction, and `saved` when it is committed. */
  save(): void {
    const set = this.#db.query(
      `INSERT INTO memory (key, value, used) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, used = excluded.used`,
    );
    for (const [key, value] of this.#changed) set.run(key, value, this.#now());
    this.#added += this.#changed.size;
    if (this.#added < LOOK) return;
    this.#added = 0;
    const { count } = this.#db.query('SELECT count(*) AS count FROM memory').get() as { count: number };
    if (count <= MOST) return;
    this.#db
      .query('DELETE FROM memory WHERE key IN (SELECT key FROM memory ORDER BY used LIMIT ?)')
      .run(count - FEWER);
    this.#cache.clear();
  }

  saved(): void {
    this.#changed.clear();
  }

  #remember(key: string, value: number | null): void {
    if (this.#cache.size >= MOST_CACHED) this.#cache.clear();
    this.#cache.set(key, value);
  }
}
