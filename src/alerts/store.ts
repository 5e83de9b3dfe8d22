/**
 * What alerts remember: a database of their own beside the store of events, so that nothing written here waits for,
 * or holds up, the commit of a decision. The engine's cursor, the incidents that follow from the rows up to it and
 * the messages about them are committed together; that is what makes every message exactly one.
 */
import type { Database } from 'bun:sqlite';
import { Failure } from '../base/failure.ts';
import { type Layout, openDatabase } from '../events/database.ts';
import { identityOf, isCorrupt, makeFolder, moveAside } from '../events/store.ts';
import { notice } from './audit.ts';
import { addSources, OUTBOX_TABLES } from './delivery/outboxtables.ts';

const VERSION = 1;

/**
 * `engine`: how far the rows of events were evaluated, in which store, and up to which moment (wall time).
 * `lease`: who evaluates; `epoch` grows with every new holder and `beat` while the holder lives.
 * `missed`: stretches of time in which nobody evaluated: what was not seen in them is unknown.
 * `incident`: `body` is an Incident as JSON, but for who acknowledged it, which is in columns of its own because
 * others than the engine write it. `muted`: until when a group sends no further message.
 * `silence`: no rule or no agent means every one. `notice`: rows that are yet to be written to the store of events
 * (see audit.ts). `memory`: what detectors remember.
 * `ruleset`: the alerts of every policy in use on this machine.
 */
const SCHEMA = `
  CREATE TABLE engine (
    id INTEGER PRIMARY KEY CHECK (id = 1), cursor INTEGER NOT NULL, store TEXT NOT NULL, at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE lease (
    id INTEGER PRIMARY KEY CHECK (id = 1), owner TEXT NOT NULL, epoch INTEGER NOT NULL, beat INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE missed (since INTEGER NOT NULL, until INTEGER NOT NULL) STRICT;
  CREATE TABLE incident (
    id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, rule TEXT NOT NULL, state TEXT NOT NULL,
    since INTEGER NOT NULL, resolved_at INTEGER, body TEXT NOT NULL,
    acknowledged_at INTEGER, acknowledged_by TEXT
  ) STRICT;
  CREATE INDEX incident_open ON incident (state) WHERE state <> 'resolved';
  CREATE INDEX incident_since ON incident (since);
  CREATE TABLE muted (fingerprint TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT;
  CREATE TABLE silence (
    id INTEGER PRIMARY KEY, rule TEXT, agent TEXT, since INTEGER NOT NULL, until INTEGER NOT NULL,
    reason TEXT NOT NULL, set_by TEXT NOT NULL
  ) STRICT;
  CREATE TABLE notice (
    id INTEGER PRIMARY KEY, time INTEGER NOT NULL, topic TEXT NOT NULL, text TEXT NOT NULL
  ) STRICT;
  CREATE TABLE memory (key TEXT PRIMARY KEY, value REAL NOT NULL, used INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX memory_used ON memory (used);
  CREATE TABLE ruleset (source TEXT PRIMARY KEY, rules TEXT NOT NULL, seen INTEGER NOT NULL) STRICT;
  ${OUTBOX_TABLES}
  PRAGMA user_version = ${VERSION};
`;

/**
 * Opens the database for writing, creating file and tables as needed; a damaged one is moved aside and begun anew.
 * Throws Failure.
 */
export function openAlertStore(path: string): Database {
  const identity = identityOf(path);
  try {
    try {
      return open(path);
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      replaceDamaged(path, identity);
      return open(path);
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(
      'store-unwritable',
      `The alerts' store ${path} cannot be used: ${(error as Error).message}.`,
      `Make it and its folder writable for this user, or move it away: alerts begin anew.`,
    );
  }
}

/** Moves it aside, unless somebody has put another in its place meanwhile, and leaves a notice in the new one. */
export function replaceDamaged(path: string, identity: string | null): void {
  if (identity === null || identityOf(path) !== identity) return;
  const now = Date.now();
  const aside = moveAside(path, now);
  const db = open(path);
  db.transaction(() =>
    notice(db, now, 'store-replaced', `The alerts' store was damaged and has been moved to ${aside}.`),
  ).immediate();
  db.close();
}

const LAYOUT: Layout = { name: "The alerts' store", version: VERSION, schema: SCHEMA };
/** Milliseconds to wait for others. */
const PATIENCE = 3_000;

function open(path: string): Database {
  makeFolder(path);
  const db = openDatabase(path, LAYOUT, PATIENCE);
  try {
    db.transaction(() => addSources(db)).immediate();
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
