import type { Database } from 'bun:sqlite';

/**
 * `delivery`: one message for one lane, which is an entry of `notify`: an e-mail address or the name of a channel.
 * `key` is its idempotency key and `body` a Notification as JSON. `due`: not before then. `owner` has it in hand until
 * `leased`, or until that process is gone. `state`: waiting, delivered or dead.
 * `source`: the policy by whose channels it is sent; null for any. Older versions know of none.
 * `lane`: how often in a row nobody got through there, and until when none is to try; `name`
 * is that of the lane, behind its policy and a line break where it is one policy's.
 */
export const OUTBOX_TABLES = `
  CREATE TABLE delivery (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, lane TEXT NOT NULL, incident TEXT NOT NULL,
    body TEXT NOT NULL, state TEXT NOT NULL, made INTEGER NOT NULL, due INTEGER NOT NULL,
    attempts INTEGER NOT NULL, owner TEXT, leased INTEGER, ended INTEGER, detail TEXT, source TEXT
  ) STRICT;
  CREATE INDEX delivery_waiting ON delivery (lane, id) WHERE state = 'waiting';
  CREATE INDEX delivery_ended ON delivery (ended) WHERE ended IS NOT NULL;
  CREATE TABLE lane (name TEXT PRIMARY KEY, failures INTEGER NOT NULL, rests INTEGER NOT NULL) STRICT;
`;

/** What a store lacks that an older version made; that one goes on with it all the same. */
export function addSources(db: Database): void {
  if (!hasSources(db)) db.run('ALTER TABLE delivery ADD COLUMN source TEXT');
}

export function hasSources(db: Database): boolean {
  return db.query("SELECT 1 FROM pragma_table_info('delivery') WHERE name = 'source'").get() !== null;
}
