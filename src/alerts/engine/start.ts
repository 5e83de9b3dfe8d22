/** Starts the thread of alerts beside a gateway, and ends it. */
import type { Paths } from '../../base/paths.ts';
import { startWorker } from '../../base/worker.ts';

export interface AlertsPlaces {
  paths: Paths;
  /** The policy in place of the person's own, absolute; null without one. */
  policyFile: string | null;
  /** Agents that the gateway's own listeners name, where neither the policy nor a token does. */
  agents?: readonly string[];
  /**
   * Where this process's own is bare: the variables among which channels find their secrets. They go with the message,
   * because a thread sees none that its process was given at run time.
   */
  environment?: Readonly<Record<string, string>>;
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
  let thread: Thread | null = null;
  let isWanted = false;
  let timer: Timer | undefined;

  const start = (): Thread => {
    clearTimeout(timer);
    thread ??= begin(places);
    return thread;
  };
  return {
    wake() {
      if (isWanted) return;
      isWanted = true;
      clearTimeout(timer);
      if (thread === null) timer = setTimeout(start, SOON);
    },
    wakeLater() {
      timer ??= setTimeout(start, LATER);
      timer.unref();
    },
    async stop() {
      clearTimeout(timer);
      if (thread === null && !isWanted) return;
      const { worker, stopped } = start();
      worker.ref();
      worker.postMessage({ stop: PATIENCE } satisfies AlertsMessage);
      await Promise.race([stopped, Bun.sleep(PATIENCE + GRACE)]);
      // The thread is left to end with the process: ending it would wait for the disk.
      worker.unref();
    },
  };
}

interface Thread {
  worker: Worker;
  /** Resolves when it has stopped, also by itself. */
  stopped: Promise<void>;
}

function begin(places: AlertsPlaces): Thread {
  const worker = startWorker('alerts/engine/engine.worker.ts');
  worker.unref();
  const stopped = new Promise<void>((resolve) => {
    worker.onmessage = () => resolve();
    worker.onerror = () => resolve();
  });
  worker.postMessage(places satisfies AlertsMessage);
  return { worker, stopped };
}
