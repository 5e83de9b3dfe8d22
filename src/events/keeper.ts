/** Starts the thread that keeps the store small. A program that ends at once never needs it. */
import { statSync } from 'node:fs';
import type { Limits } from './retention.ts';
import { startWorker } from './worker.ts';

export type KeeperMessage = { store: string; limits: Limits } | 'stop';

/** Milliseconds until it starts, unless the log is long already. */
const DELAY = 2_000;
/** Octets of log from which it is worth writing it back. */
export const LONG_LOG = 4 * 2 ** 20;

export interface Keeper {
  stop(): void;
}

export function startKeeper(store: string, limits: Limits): Keeper {
  let worker: Worker | null = null;
  const start = () => {
    worker = startWorker('keeper');
    worker.unref();
    worker.postMessage({ store, limits } satisfies KeeperMessage);
  };
  const timer = setTimeout(start, logLength(store) >= LONG_LOG ? 0 : DELAY);
  timer.unref();
  return {
    stop() {
      clearTimeout(timer);
      worker?.postMessage('stop');
    },
  };
}

export function logLength(store: string): number {
  return statSync(`${store}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}
