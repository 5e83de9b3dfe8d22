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
/** Frames of the log (4 KiB each) from which it is written back, and from which it also starts again. */
const LONG = 2_000;
const LONGER = 6_000;
/** Frames that may be left to write back while nobody can commit. */
const FEW = 500;

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
 * again from its beginning, so now and then the last few frames are written back in a turn of our own.
 */
function writeBack(store: string, { db }: Opened): void {
  if (logLength(store) < LONG_LOG) return;
  const checkpoint = (mode: 'NOOP' | 'PASSIVE') =>
    db.query(`PRAGMA wal_checkpoint(${mode})`).get() as { log: number; checkpointed: number };
  let { log, checkpointed } = checkpoint('NOOP');
  for (let round = 0; round < 5 && log - checkpointed > (round === 0 ? LONG : FEW); round++) {
    checkpoint('PASSIVE');
    ({ log, checkpointed } = checkpoint('NOOP'));
  }
  if (log > LONGER && log > checkpointed) inTurn(store, () => checkpoint('PASSIVE'));
}
