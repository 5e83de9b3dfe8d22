/**
 * The thread that does what waits for the disk, so that no commit does: it writes the log back into the
 * database and evicts what is too old or too much. Whatever fails here is tried again later; the writing
 * thread is the one that reports a broken store.
 */
import type { Database } from 'bun:sqlite';
import { existsSync } from 'node:fs';
import { signingKey } from './checkpoint.ts';
import { type KeeperMessage, LONG_LOG, logLength } from './keeper.ts';
import { createRetention, type Limits } from './retention.ts';
import { identityOf, openStore } from './store.ts';
import { inTurn } from './turn.ts';

declare const self: Worker;

/** Milliseconds between looks at the log, between rounds of eviction, and between steps of one round. */
const TICK = 500;
const ROUND = 10_000;
const PAUSE = 10;
/** Frames (of 4 KiB) that are left to write back while nobody may commit. */
const FEW_FRAMES = 500;

interface Opened {
  db: Database;
  step: (now: number) => boolean;
  identity: string | null;
}

let stopped = false;

self.onmessage = ({ data }: MessageEvent<KeeperMessage>) => {
  if (data === 'stop') stopped = true;
  else void keep(data.store, data.limits);
};

async function keep(store: string, limits: Limits): Promise<void> {
  let opened: Opened | null = null;
  let nextRound = 0;
  while (!stopped) {
    let wait = TICK;
    try {
      if (opened !== null && opened.identity !== identityOf(store)) {
        opened.db.close();
        opened = null;
      }
      if (existsSync(store)) {
        opened ??= open(store, limits);
        writeBack(store, opened);
        if (performance.now() >= nextRound) {
          const { step } = opened;
          if (inTurn(store, () => step(Date.now()))) wait = PAUSE;
          else nextRound = performance.now() + ROUND;
        }
      }
    } catch {
      opened?.db.close();
      opened = null;
    }
    await Bun.sleep(wait);
  }
}

function open(store: string, limits: Limits): Opened {
  const db = openStore(store);
  return { db, step: createRetention(db, signingKey(store), limits), identity: identityOf(store) };
}

/**
 * Most of the log is written back while others commit. Only a log with nothing left to write back starts
 * again from its beginning, so the last few frames are written back in a turn of our own.
 */
function writeBack(store: string, { db }: Opened): void {
  if (logLength(store) < LONG_LOG) return;
  const checkpoint = () =>
    db.query('PRAGMA wal_checkpoint(PASSIVE)').get() as { log: number; checkpointed: number };
  let before = checkpoint().log;
  for (let round = 0; round < 5; round++) {
    const { log } = checkpoint();
    if (log - before < FEW_FRAMES) break;
    before = log;
  }
  inTurn(store, checkpoint);
}
