/**
 * The thread that does what waits for the disk, so that no commit does: it writes the log back into the
 * database, commits what killed gateways left, and evicts what is too old or too much. Whatever fails here is tried again later; the writing
 * thread is the one that reports a broken store.
 */
import type { Database } from 'bun:sqlite';
import { existsSync } from 'node:fs';
import { compileFromNowOn } from '../base/compiler.ts';
import { forgetSettled, settle } from './abandoned.ts';
import { signingKey } from './checkpoint.ts';
import type { KeeperMessage } from './keeper.ts';
import type { Limits } from './limits.ts';
import { writeBack } from './log.ts';
import { createRetention } from './retention.ts';
import { createSteadiness } from './steadiness.ts';
import { identityOf, openStore } from './store.ts';
import { inTurn } from './turn.ts';

declare const self: Worker;

/** Milliseconds between looks at the log, between rounds of eviction, and between steps of one round. */
const TICK = 500;
const ROUND = 10_000;
const PAUSE = 5;

interface Opened {
  db: Database;
  step: (now: number, isSteady: boolean) => boolean;
  identity: string | null;
}

let stopped = false;

compileFromNowOn();
self.onmessage = ({ data }: MessageEvent<KeeperMessage>) => {
  if (data === 'stop') stopped = true;
  else void keep(data.store, data.limits);
};

async function keep(store: string, limits: Limits): Promise<void> {
  let opened: Opened | null = null;
  let nextRound = 0;
  const isSteady = createSteadiness();
  while (!stopped) {
    let wait = TICK;
    try {
      if (opened !== null && opened.identity !== identityOf(store)) {
        opened.db.close();
        opened = null;
      }
      if (existsSync(store)) {
        opened ??= open(store, limits);
        settle(store);
        writeBack(store, opened.db);
        if (performance.now() >= nextRound) {
          const now = Date.now();
          if (opened.step(now, isSteady(now, performance.now()))) wait = PAUSE;
          else {
            forgetSettled(store, opened.db);
            nextRound = performance.now() + ROUND;
          }
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
  const step = createRetention(db, signingKey(store), limits, (work) => inTurn(store, work));
  return { db, step, identity: identityOf(store) };
}
