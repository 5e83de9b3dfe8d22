/**
 * The write side, as a gateway uses it. A decision is answered once it is in the journal, and is committed to the store
 * with others, one batch at a time. While the journal or the store cannot be written every decision is answered no at
 * once, what was refused is counted, and writing is tried again until it works.
 */
import { afterwards } from '../base/afterwards.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { createCommitter } from './committer.ts';
import type { NoticeEvent, Recorder } from './event.ts';
import { createJournal, type Journal, type Mark } from './journal.ts';
import { type Keeper, startKeeper } from './keeper.ts';
import { createLedger, type Pending } from './ledger.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { isLogLong } from './log.ts';
import { storeFailure } from './store.ts';
import type { Written } from './writer.ts';

/** Milliseconds after which the store counts as unwritable, whatever the thread that commits is waiting for. */
const DEADLINE = 800;
/** Milliseconds in which it has to be open to begin with, and again in a thread; a long log is read then. */
const PATIENCE = 10_000;
/** Milliseconds between attempts to write again. */
const RETRY = 250;
/** Milliseconds between looks at refusals that repeat. */
const RELEASE = 250;
/**
 * Milliseconds that a row waits for others to be committed with. A batch costs about as much as fifty rows, however few
 * are in it; and whoever looks something up that has just happened does not notice.
 */
const LINGER = 50;
/** Milliseconds from the start in which no thread is started for a row: a short command ends before, and needs none. */
const FIRST_LINGER = 100;

export interface RecorderOptions {
  /** Path of the store. */
  store: string;
  clock?: Clock;
  limits?: Limits;
  /** Milliseconds in which the store has to be open. */
  patience?: number;
  /** Told once each time the store becomes unwritable, and when a damaged one was moved aside. */
  onFailure?: (failure: Failure) => void;
}

export interface StoreRecorder extends Recorder {
  /**
   * Resolves once the store is there; until then every decision waits. Rejects with a Failure where the store cannot
   * be written to begin with, and then nothing is recorded any more.
   */
  readonly opened: Promise<void>;
}

/** Throws Failure where nothing can be written beside the store, either. */
export function openRecorder(options: RecorderOptions): StoreRecorder {
  const { store, clock = systemClock, onFailure = () => {}, patience = PATIENCE } = options;
  const journal = openJournal(store, (error) => fail(storeFailure(store, error)));
  const committer = createCommitter(store);
  const ledger = createLedger(clock, journal);
  const begun = performance.now();
  let inFlight: Pending[] | null = null;
  let writable = true;
  let isOpen = false;
  let closed = false;
  let pumping: Timer | undefined;
  let endWaiting = () => {};
  let releasing: Timer | undefined;
  const flushed: (() => void)[] = [];
  const endFlushes = () => {
    for (const done of flushed.splice(0)) done();
  };

  const notice = (topic: NoticeEvent['topic'], text: string) =>
    ledger.note({ kind: 'notice', time: clock.now(), agent: 'clawctl', session: '', topic, text });
  const fail = (failure: Failure) => {
    if (!writable) return;
    writable = false;
    pumpLater(RETRY);
    notice('store-failed', failure.message);
    onFailure(failure);
  };

  const schedule = () => {
    if (!isOpen || inFlight !== null || !writable) return;
    if (ledger.isFull) pump();
    else if (!ledger.isEmpty) pumpLater(Math.max(LINGER, begun + FIRST_LINGER - performance.now()));
  };
  const pumpLater = (milliseconds: number) => {
    if (!closed) pumping ??= setTimeout(pump, milliseconds);
  };
  const pump = () => {
    clearTimeout(pumping);
    pumping = undefined;
    if (!isOpen || inFlight !== null) return;
    const batch = ledger.take();
    if (batch.length > 0) post(batch);
    else settled();
  };
  const post = (batch: Pending[]) => {
    inFlight = batch;
    expectWithin(committer.ready ? DEADLINE : patience);
    const rows = batch.map(({ text }) => text).join();
    // Who waits for a flush is about to end.
    void committer.commit({ rows, mark: markOf(batch, journal.id) }, flushed.length > 0).then(onWritten);
  };
  const silence = () =>
    new Failure('store-unwritable', `The store ${store} does not answer.`, `Run 'clawctl egress doctor'.`);
  const expectWithin = (milliseconds: number) => {
    endWaiting();
    endWaiting = afterwards(milliseconds, onDeadline);
  };
  const onDeadline = () => {
    fail(silence());
    endFlushes();
  };
  const onWritten = (written: Written) => {
    if (inFlight === null) return;
    endWaiting();
    const batch = inFlight;
    inFlight = null;
    if (!written.ok) {
      ledger.giveBack(batch);
      fail(new Failure(written.code, written.what, written.fix));
      pumpLater(RETRY);
      endFlushes();
      return;
    }
    journal.committed(markOf(batch, journal.id)?.serial ?? 0);
    if (written.replaced !== null) replaced(written.replaced);
    if (flushed.length > 0 || ledger.isFull) pump();
    else settled();
  };
  /** What could be committed has been. */
  const settled = () => {
    writable = journal.works();
    if (!writable) pumpLater(RETRY);
    else schedule();
    endFlushes();
  };
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
      // A thread that does not answer is not waited for again.
      if (inFlight !== null && !writable) return endFlushes();
      pump();
      // Whoever is about to end does not wait for a thread to open the store: what is in the journal is safe.
      if (inFlight !== null) expectWithin(DEADLINE);
    });
  };

  let keeper: Keeper | null = null;
  const open = async () => {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const stopWaiting = afterwards(patience, () => reject(silence()));
    const first = await Promise.race([committer.open(), late]).finally(stopWaiting);
    if (!first.ok) throw new Failure(first.code, first.what, first.fix);
    isOpen = true;
    if (first.replaced !== null) replaced(first.replaced);
    keeper = startKeeper(store, options.limits ?? DEFAULT_LIMITS);
    schedule();
  };
  const opened = open();
  opened.catch(() => {
    closed = true;
    committer.leave();
    journal.close();
  });

  return {
    opened,
    async decide(event) {
      if (!isOpen) await opened.catch(() => {});
      if (closed) return false;
      const recorded = ledger.decide(event, writable);
      schedule();
      releaseLater();
      return recorded;
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
    async flush() {
      await opened.catch(() => {});
      if (!closed) await flush();
    },
    async close() {
      await opened.catch(() => {});
      if (closed) return;
      await flush();
      closed = true;
      endWaiting();
      clearTimeout(pumping);
      clearTimeout(releasing);
      keeper?.stop();
      journal.close();
      // Waits for the disk, so only after much was written.
      if (writable && isLogLong(store)) await Promise.race([committer.finish(), Bun.sleep(DEADLINE)]);
      committer.leave();
    },
  };
}

function openJournal(store: string, onFailure: (error: unknown) => void): Journal {
  try {
    return createJournal(store, onFailure);
  } catch (error) {
    throw storeFailure(store, error);
  }
}

/** How far the journal is committed once this batch is. */
function markOf(batch: readonly Pending[], journal: string): Mark | null {
  const last = batch.findLast(({ serial }) => serial > 0);
  return last === undefined ? null : { journal, serial: last.serial };
}
