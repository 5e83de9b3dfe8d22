/**
 * Who commits. Where nobody has to wait for the disk or for others, this thread opens the store, and commits what is
 * flushed at the end of a program that had little to say: a thread costs more. Everything else is done by one of its own,
 * which starts with the first batch, since nothing that must be answered at once may wait for a commit.
 */
import { startWorker } from '../base/worker.ts';
import type { Mark } from './journal.ts';
import { isLogShort } from './log.ts';
import { type PackedRow, unpacked } from './packedrow.ts';
import type { WriterMessage } from './recorder.worker.ts';
import { holdOpen } from './store.ts';
import type { Writer, Written } from './writer.ts';

export interface Batch {
  /** Packed rows as JSON, with commas between them. */
  rows: string;
  /** How far a journal is committed with them. */
  mark: Mark | null;
}

/** One thing is asked at a time, and nothing that is asked rejects. */
export interface Committer {
  /** Opens the store, creating it as needed. */
  open(): Promise<Written>;
  /** `last`: this thread may do it, if there is no other yet. */
  commit(batch: Batch, last: boolean): Promise<Written>;
  /** Whether the thread, if there is to be one, has opened the store. */
  readonly ready: boolean;
  /** The thread, if there is one, leaves a short log to whoever opens the store next. */
  finish(): Promise<void>;
  /** The program ends. Nothing is asked any more. */
  leave(): void;
}

const NOTHING: Batch = { rows: '', mark: null };

export function createCommitter(store: string): Committer {
  let writer: Writer | null = null;
  let thread: Thread | null = null;
  let ready = false;
  let left = false;

  const byThread = async ({ rows, mark }: Batch): Promise<Written> => {
    if (left) return failed('This program ends.');
    if (thread === null || thread.isDead) thread = startThread();
    // The rows are JSON already.
    const written = await thread.ask(
      `{"path":${JSON.stringify(store)},"rows":[${rows}],"mark":${JSON.stringify(mark)}}`,
    );
    if (written.ok) {
      ready = true;
      closeHere();
    }
    return written;
  };
  /** The runtime would close it at the end, and write the log back before. */
  const closeHere = () => {
    if (writer === null) return;
    if (left) holdOpen(store);
    writer.close();
    writer = null;
  };
  return {
    async open() {
      if (isLogShort(store)) {
        const { createWriter } = await import('./writer.ts');
        writer = createWriter(store);
        const written = writer.writeNow([]);
        if (written !== null) return written;
      }
      return await byThread(NOTHING);
    },
    async commit(batch, last) {
      if (last && thread === null && writer !== null && isLogShort(store)) {
        const rows = JSON.parse(`[${batch.rows}]`) as PackedRow[];
        const written = writer.writeNow(rows.map(unpacked), batch.mark);
        if (written !== null) return written;
      }
      return await byThread(batch);
    },
    get ready() {
      return ready;
    },
    async finish() {
      await thread?.ask(JSON.stringify('finish' satisfies WriterMessage));
    },
    leave() {
      left = true;
      closeHere();
      thread?.worker.unref();
    },
  };
}

function failed(what: string): Written {
  return { ok: false, code: 'store-unwritable', what, fix: undefined };
}

interface Thread {
  worker: Worker;
  ask(message: string): Promise<Written>;
  /** It ended by itself, or failed. */
  readonly isDead: boolean;
}

function startThread(): Thread {
  const worker = startWorker('events/recorder.worker.ts');
  let answer = (_: Written) => {};
  let isDead = false;
  const die = (why: string) => {
    isDead = true;
    answer(failed(`The writing thread ${why}.`));
  };
  worker.onmessage = ({ data }: MessageEvent<Written>) => answer(data);
  worker.onerror = ({ message }) => die(`failed: ${message}`);
  worker.addEventListener('close', () => die('has ended'));
  return {
    worker,
    ask: (message) =>
      new Promise((resolve) => {
        answer = resolve;
        worker.postMessage(message);
      }),
    get isDead() {
      return isDead;
    },
  };
}
