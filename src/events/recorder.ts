/**
 * The write side, as a gateway uses it: decisions go in batches to a thread that writes them, one batch at a
 * time, and are answered when theirs is committed. While the store cannot be written every decision is answered
 * no at once, what was refused is counted, and writing is tried again until it works.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { startWorker } from '../base/worker.ts';
import type { DecisionEvent, NoticeEvent, Recorder } from './event.ts';
import { startKeeper } from './keeper.ts';
import { createLedger, type Pending } from './ledger.ts';
import { isLogLong } from './log.ts';
import type { WriterMessage } from './recorder.worker.ts';
import { DEFAULT_LIMITS, type Limits } from './retention.ts';
import type { Written } from './writer.ts';

/** Milliseconds after which a decision is answered no, whatever the writing thread is waiting for. */
const DEADLINE = 800;
/** Milliseconds between attempts to write again. */
const RETRY = 250;
/** Milliseconds between looks at refusals that repeat. */
const RELEASE = 250;

/**
 * A batch costs about as much as twenty rows, however few are in it. So under load the next one begins so many
 * milliseconds after the one before it, and brings more; load is when so many decisions waited for the last one.
 */
const PACE = 2;
const CROWD = 4;
/** Milliseconds in which rows that nobody waits for may find a decision to go with. */
const LINGER = 10;
/** In the same turn of the event loop. */
const SOON = Number.NEGATIVE_INFINITY;

export interface RecorderOptions {
  /** Path of the store. */
  store: string;
  clock?: Clock;
  limits?: Limits;
  /** Told once each time the store becomes unwritable, and when a damaged one was moved aside. */
  onFailure?: (failure: Failure) => void;
}

/** Throws Failure where the store cannot be written to begin with. */
export async function openRecorder(options: RecorderOptions): Promise<Recorder> {
  const { store, clock = systemClock, onFailure = () => {} } = options;
  const worker = startWorker('events/recorder.worker.ts');
  const ledger = createLedger(clock);
  let inFlight: Pending[] | null = null;
  let late = false;
  let writable = true;
  let closed = false;
  /** A decision waits for the next batch. */
  let asked = false;
  /** When the last batch began, and how many decisions waited for it. */
  let begun = Number.NEGATIVE_INFINITY;
  let crowd = 0;
  /** When the next one is to begin; Infinity: at no time yet. */
  let due = Number.POSITIVE_INFINITY;
  let pumping: Timer | undefined;
  let deadline: Timer | undefined;
  let retry: Timer | undefined;
  let releasing: Timer | undefined;
  const flushed: (() => void)[] = [];
  let onReply: (written: Written) => void = () => {};

  const post = (message: WriterMessage) => worker.postMessage(JSON.stringify(message));
  const ask = (message: WriterMessage) =>
    new Promise<Written>((resolve) => {
      onReply = resolve;
      post(message);
    });
  worker.onmessage = ({ data }: MessageEvent<Written>) => onReply(data);
  worker.onerror = ({ message }) => {
    onReply({
      ok: false,
      code: 'store-unwritable',
      what: `The writing thread failed: ${message}`,
      fix: undefined,
    });
  };

  const notice = (topic: NoticeEvent['topic'], text: string) =>
    ledger.note({ kind: 'notice', time: clock.now(), agent: 'clawctl', session: '', topic, text });

  const schedule = () => {
    if (inFlight !== null || !writable) return;
    const now = clock.monotonic();
    const at = !asked ? now + LINGER : crowd < CROWD ? SOON : Math.max(now, begun + PACE);
    if (at >= due) return;
    due = at;
    clearTimeout(pumping);
    if (at === SOON) queueMicrotask(pump);
    else pumping = setTimeout(pump, at - now);
  };
  const pump = () => {
    clearTimeout(retry);
    clearTimeout(pumping);
    due = Number.POSITIVE_INFINITY;
    if (inFlight !== null) return;
    const batch = ledger.take();
    if (batch.length === 0) {
      for (const done of flushed.splice(0)) done();
      return;
    }
    inFlight = batch;
    begun = clock.monotonic();
    asked = false;
    deadline = setTimeout(onDeadline, DEADLINE);
    post({ rows: batch.map(({ row }) => row) });
  };
  const onDeadline = () => {
    late = true;
    fail(
      new Failure('store-unwritable', `The store ${store} does not answer.`, `Run 'clawctl egress doctor'.`),
    );
    for (const { waiting } of inFlight ?? []) waiting?.answer(false);
    ledger.refuseWaiting();
    for (const done of flushed.splice(0)) done();
  };
  const fail = (failure: Failure) => {
    if (!writable) return;
    writable = false;
    notice('store-failed', failure.message);
    onFailure(failure);
  };
  const onWritten = (written: Written) => {
    if (inFlight === null) return;
    clearTimeout(deadline);
    const batch = inFlight;
    inFlight = null;
    if (written.ok) {
      writable = true;
      if (written.replaced !== null) replaced(written.replaced);
      crowd = 0;
      for (const { waiting } of batch) {
        if (waiting !== null) crowd++;
        if (late && waiting?.event.verdict === 'allow') undo(waiting.event);
        else waiting?.answer(true);
      }
      late = false;
      if (flushed.length > 0 || ledger.isFull) pump();
      else if (!ledger.isEmpty) schedule();
      return;
    }
    late = false;
    ledger.giveBack(batch);
    fail(new Failure(written.code, written.what, written.fix));
    for (const done of flushed.splice(0)) done();
    if (!closed) retry = setTimeout(pump, RETRY);
  };
  /** Committed after its decision had been answered no. */
  const undo = ({ agent, session, connection, host, port }: DecisionEvent) =>
    ledger.note({
      kind: 'refusal',
      time: clock.now(),
      ...{ agent, session, connection, host, port },
      reason: 'audit-unavailable',
      detail: 'the store answered too late',
    });
  const replaced = (aside: string) => {
    const text = `The store ${store} was damaged and has been moved to ${aside}; a new one was begun.`;
    notice('store-replaced', text);
    onFailure(new Failure('store-corrupt', text, `Keep ${aside} if its records matter to you.`));
  };
  const release = () => {
    releasing = undefined;
    ledger.release(false);
    schedule();
    releaseLater();
  };
  const releaseLater = () => {
    if (ledger.repeating && !closed) releasing ??= setTimeout(release, RELEASE);
  };

  const flush = async () => {
    ledger.release(true);
    await new Promise<void>((resolve) => {
      flushed.push(resolve);
      if (late) resolve();
      else pump();
    });
  };

  const first = await ask({ path: store });
  if (!first.ok) {
    worker.terminate();
    throw new Failure(first.code, first.what, first.fix);
  }
  onReply = onWritten;
  if (first.replaced !== null) replaced(first.replaced);
  const keeper = startKeeper(store, options.limits ?? DEFAULT_LIMITS);
  schedule();

  return {
    decide(event) {
      if (closed) return Promise.resolve(false);
      return new Promise((answer) => {
        ledger.decide(event, writable, answer);
        asked ||= event.verdict === 'allow';
        schedule();
        releaseLater();
      });
    },
    note(event) {
      if (closed) return;
      ledger.note(event);
      schedule();
      releaseLater();
    },
    get writable() {
      return writable;
    },
    flush,
    async close() {
      if (closed) return;
      await flush();
      closed = true;
      clearTimeout(deadline);
      clearTimeout(retry);
      clearTimeout(releasing);
      keeper.stop();
      // Waits for the disk, so only after much was written.
      if (writable && isLogLong(store)) await Promise.race([ask('finish'), Bun.sleep(DEADLINE)]);
      // The thread is left to end with the process: closing the database would wait for the disk, too.
      worker.unref();
    },
  };
}
