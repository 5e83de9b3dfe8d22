/** Starts the thread that keeps the store small. A program that ends at once never needs it. */
import { startWorker } from '../base/worker.ts';
import type { Limits } from './limits.ts';
import { isLogLong } from './log.ts';

export type KeeperMessage = { store: string; limits: Limits } | 'stop';

/** Milliseconds until it starts, unless the log is long already. */
const DELAY = 2_000;

export interface Keeper {
  stop(): void;
}

export function startKeeper(store: string, limits: Limits): Keeper {
  let worker: Worker | null = null;
  const start = () => {
    worker = startWorker('events/keeper.worker.ts');
    worker.unref();
    worker.postMessage({ store, limits } satisfies KeeperMessage);
  };
  const timer = setTimeout(start, isLogLong(store) ? 0 : DELAY);
  timer.unref();
  return {
    stop() {
      clearTimeout(timer);
      worker?.postMessage('stop');
    },
  };
}
