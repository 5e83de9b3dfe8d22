/**
 * Changes of alerts in the sealed record. Whoever changes something leaves a notice in the same transaction; from
 * there it is written to the store of events, once, also where whoever wrote it died between the two.
 */
import { Database } from 'bun:sqlite';
import type { NoticeEvent } from '../events/event.ts';
import { rowOf } from '../events/row.ts';
import type { Writer } from '../events/writer.ts';

/** Under this name stands what concerns no single agent. */
const OWN = 'clawctl';
/** So many at a time, and so many times before others get their turn. */
const BATCH = 200;
const BATCHES = 20;

interface Kept {
  id: number;
  time: number;
  topic: NoticeEvent['topic'];
  text: string;
}

/** Call inside the transaction of the change. */
export function notice(db: Database, time: number, topic: NoticeEvent['topic'], text: string): void {
  db.query('INSERT INTO notice (time, topic, text) VALUES (?, ?, ?)').run(time, topic, text);
}

/**
 * Writes what waits to the store of events. `isFirst`: somebody else may have died between writing and forgetting, so
 * what is there already is not written again. False where the store could not be written.
 */
export function writeNotices(db: Database, store: string, writer: Writer, isFirst: boolean): boolean {
  for (let batch = 0; batch < BATCHES; batch++) {
    if (db.query('SELECT 1 FROM notice LIMIT 1').get() === null) return true;
    if (!writeSome(db, store, writer, isFirst && batch === 0)) return false;
  }
  return true;
}

function writeSome(db: Database, store: string, writer: Writer, isFirst: boolean): boolean {
  return db
    .transaction(() => {
      const kept = db
        .query(`SELECT id, time, topic, text FROM notice ORDER BY id LIMIT ${BATCH}`)
        .all() as Kept[];
      const written = isFirst ? writtenBefore(store, kept) : new Set<number>();
      const rows = kept
        .filter(({ id }) => !written.has(id))
        .map(({ time, topic, text }) =>
          rowOf({ kind: 'notice', time, agent: OWN, session: '', topic, text }),
        );
      if (rows.length > 0 && !writer.write(rows).ok) return false;
      db.query('DELETE FROM notice WHERE id <= ?').run(kept.at(-1)?.id ?? 0);
      return true;
    })
    .immediate();
}

function writtenBefore(store: string, kept: readonly Kept[]): Set<number> {
  const written = new Set<number>();
  let db: Database | null = null;
  try {
    db = new Database(store, { readonly: true, strict: true });
    const like = db.query(`
      SELECT 1 FROM (
        SELECT time, outcome, detail FROM event
        WHERE chain = (SELECT id FROM chain WHERE agent = '${OWN}' AND lane = 'notice')
        ORDER BY sequence DESC LIMIT ${2 * BATCH}
      ) WHERE time = ? AND outcome = ? AND detail = ?`);
    for (const { id, time, topic, text } of kept) {
      const row = rowOf({ kind: 'notice', time, agent: OWN, session: '', topic, text });
      if (like.get(time, topic, row.cells.detail) !== null) written.add(id);
    }
  } catch {
    // There is no such store yet, or it cannot be read: then it cannot be written either, or is a new one.
  } finally {
    db?.close();
  }
  return written;
}
