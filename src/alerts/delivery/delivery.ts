/**
 * Takes what waits in the outbox and has it sent. Every lane is worked on by itself, one message at a time, so a
 * receiver that hangs delays nobody but those behind it. Whatever cannot be tried yet (no channel of that name, a
 * secret that is not set) is left where it is until the configuration has changed.
 */
import { type Attempt, send } from '../channels/send.ts';
import type { Sent } from '../channels/sent.ts';
import { type Channels, channelFor, missingFor } from './lane.ts';
import type { Delivery, Outbox, Outcome } from './outbox.ts';

/** Milliseconds between looks at what others have put there, and between attempts at what lacks configuration. */
const LOOK = 1_000;
const LOOK_UNCONFIGURED = 30_000;

export interface DeliveryOptions {
  outbox: Outbox;
  /** The channels as they are configured now. */
  channels: () => Channels;
  send?: (attempt: Attempt) => Promise<Sent>;
  /** Only this lane. */
  lane?: string | null;
  /** What fails is left for later: nothing is tried twice. */
  once?: boolean;
  onOutcome?: (delivery: Delivery, outcome: Outcome) => void;
}

export interface Deliveries {
  /** Looks at once, and from then on whenever something is due. */
  start(): void;
  /** There may be something new. */
  wake(): void;
  /** The configuration has changed: what could not be tried may be now. */
  reconsider(): void;
  /** Delivers what is due, for so long at most; resolves when nothing more can be done. */
  drain(milliseconds: number): Promise<void>;
  /** Breaks off; what was in hand is tried again by whoever comes next. */
  close(): Promise<void>;
}

export function createDeliveries(options: DeliveryOptions): Deliveries {
  const { outbox, channels, lane: only = null, once = false, onOutcome = () => {} } = options;
  const sendBy = options.send ?? send;
  const busy = new Map<string, Promise<void>>();
  /** Lanes that lack configuration, and until when they are not looked at. */
  const lacking = new Map<string, number>();
  /** Where nothing is tried twice. */
  const tried = new Set<number>();
  let stop = new AbortController();
  let timer: Timer | undefined;
  let started = false;
  let closed = false;
  let lastForgotten = 0;

  const isOpen = (lane: string) => {
    if (busy.has(lane) || (only !== null && lane !== only)) return false;
    const until = lacking.get(lane);
    if (until !== undefined && until > performance.now()) return false;
    lacking.delete(lane);
    if (missingFor(lane, channels()) === null) return true;
    lacking.set(lane, performance.now() + LOOK_UNCONFIGURED);
    return false;
  };
  const work = async (lane: string) => {
    for (;;) {
      const delivery = stop.signal.aborted ? null : outbox.take(lane);
      if (delivery === null) return;
      if (once && tried.has(delivery.id)) {
        outbox.giveBack(delivery);
        lacking.set(lane, Number.POSITIVE_INFINITY);
        return;
      }
      if (once) tried.add(delivery.id);
      const route = channelFor(lane, channels());
      const sent: Sent = route.ok
        ? await sendBy({ ...route, notification: delivery.notification, signal: stop.signal })
        : { state: 'unconfigured', detail: route.missing };
      const outcome = outbox.settle(delivery, sent);
      onOutcome(delivery, outcome);
      if (once && outcome.state === 'later' && outcome.everybody) {
        lacking.set(lane, Number.POSITIVE_INFINITY);
        return;
      }
      if (outcome.state !== 'unconfigured') continue;
      lacking.set(lane, performance.now() + LOOK_UNCONFIGURED);
      return;
    }
  };
  const look = () => {
    if (closed) return;
    for (const lane of outbox.lanes()) {
      if (!isOpen(lane)) continue;
      // A store that cannot be written now can be later; the lease runs out by itself.
      const working = work(lane)
        .catch(() => undefined)
        .finally(() => busy.delete(lane));
      busy.set(lane, working);
    }
    if (performance.now() - lastForgotten > 3_600_000) {
      lastForgotten = performance.now();
      outbox.forget();
    }
  };
  const tick = () => {
    clearTimeout(timer);
    if (closed || !started) return;
    let wait = LOOK;
    try {
      look();
      wait = Math.min(
        LOOK,
        outbox.nextDue(outbox.lanes().filter((lane) => !busy.has(lane) && !lacking.has(lane))) ?? LOOK,
      );
    } catch {
      // as above
    }
    timer = setTimeout(tick, Math.max(100, wait));
    timer.unref();
  };

  return {
    start() {
      started = true;
      tick();
    },
    wake: tick,
    reconsider() {
      lacking.clear();
      tick();
    },
    async drain(milliseconds) {
      const end = performance.now() + milliseconds;
      const over = setTimeout(() => stop.abort(), milliseconds);
      try {
        while (performance.now() < end) {
          look();
          if (busy.size > 0) await Promise.race([...busy.values(), Bun.sleep(end - performance.now())]);
          const open = outbox
            .lanes()
            .filter((lane) => !lacking.has(lane) && (only === null || lane === only));
          const wait = outbox.nextDue(open);
          if (busy.size > 0) continue;
          if (wait === null || (once && wait > 0) || performance.now() + wait >= end) break;
          await Bun.sleep(Math.max(10, wait));
        }
        await Promise.all(busy.values());
      } finally {
        clearTimeout(over);
        if (stop.signal.aborted) stop = new AbortController();
      }
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      stop.abort();
      await Promise.all(busy.values());
    },
  };
}
