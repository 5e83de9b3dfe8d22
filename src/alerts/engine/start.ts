/** Starts the thread of alerts beside a gateway, and ends it. */
import type { Paths } from '../../base/paths.ts';
import { startWorker } from '../../base/worker.ts';

export interface AlertsPlaces {
  paths: Paths;
  /** The policy in place of the person's own, absolute; null without one. */
  policyFile: string | null;
}

export type AlertsMessage = AlertsPlaces | { stop: number };

/** Milliseconds for which an ending gateway delivers what is pending, and that the thread gets beyond them. */
const PATIENCE = 5_000;
const GRACE = 1_000;

/** Milliseconds until it starts: whoever starts a short command waits for neither. */
const SOON = 100;
const LATER = 1_500;

export interface Alerts {
  /** Something was recorded that may be worth an alert: starts the thread soon, unless it runs. */
  wake(): void;
  /** Starts the thread before long, for what others left and for alerts about silence. */
  wakeLater(): void;
  /**
   * Evaluates what was recorded and delivers it, for up to five seconds; what is left is taken up by the next engine.
   * Nothing happens where nothing was recorded.
   */
  stop(): Promise<void>;
}

export function createAlerts(places: AlertsPlaces): Alerts {
  let worker: Worker | null = null;
  /** Resolves when the thread has stopped, also by itself. */
  let stopped: Promise<void>;
  let isWanted = false;
  let timer: Timer | undefined;

  const start = (): Worker => {
    clearTimeout(timer);
    if (worker === null) {
      const begun = begin(places);
      worker = begun;
      stopped = new Promise((resolve) => {
        begun.onmessage = () => resolve();
        begun.onerror = () => resolve();
      });
    }
    return worker;
  };
  return {
    wake() {
      if (isWanted) return;
      isWanted = true;
      clearTimeout(timer);
      if (worker === null) timer = setTimeout(start, SOON);
    },
    wakeLater() {
      timer ??= setTimeout(start, LATER);
      timer.unref();
    },
    async stop() {
      clearTimeout(timer);
      if (worker === null && !isWanted) return;
      const ending = start();
      ending.ref();
      ending.postMessage({ stop: PATIENCE } satisfies AlertsMessage);
      await Promise.race([stopped, Bun.sleep(PATIENCE + GRACE)]);
      // The thread is left to end with the process: ending it would wait for the disk.
      ending.unref();
    },
  };
}

function begin(places: AlertsPlaces): Worker {
  const worker = startWorker('alerts/engine/engine.worker.ts');
  worker.unref();
  worker.postMessage(places satisfies AlertsMessage);
  return worker;
}
