/**
 * Who commits. The store is opened in this thread, and what a program has to say that soon ends is committed by it, too:
 * a thread costs more than both. One starts with the first batch that is not the last, since a commit may have to wait for
 * other gateways, and nothing that must be answered at once may wait for it.
 */
import { startWorker } from '../base/worker.ts';
import type { Mark } from './journal.ts';
import { isLogLong } from './log.ts';
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
  /** `here`: in this thread, if there is no other yet and nobody is in the way. */
  commit(batch: Batch, here: boolean): Promise<Written>;
  /** Leaves a short log to whoever opens the store next. */
  finish(): Promise<void>;
  /** The program ends, and does not wait for the disk. */
  leave(): void;
}

const NOTHING: Batch = { rows: '', mark: null };

export function createCommitter(store: string): Committer {
  let writer: Writer | null = null;
  let thread: Thread | null = null;

  const closeHere = () => {
    writer?.close();
    writer = null;
  };
  const byThread = async ({ rows, mark }: Batch): Promise<Written> => {
    thread ??= startThread();
    // The rows are JSON already.
    const written = await thread.ask(
      `{"path":${JSON.stringify(store)},"rows":[${rows}],"mark":${JSON.stringify(mark)}}`,
    );
    closeHere();
    return written;
  };
  return {
    async open() {
      if (!isLogLong(store)) {
        const { createWriter } = await import('./writer.ts');
        writer = createWriter(store);
        const written = writer.writeNow([]);
        if (written?.ok) holdOpen(store);
        if (written !== null) return written;
      }
      return await byThread(NOTHING);
    },
    async commit(batch, here) {
      if (here && thread === null && writer !== null) {
        const rows = JSON.parse(`[${batch.rows}]`) as PackedRow[];
        const written = writer.writeNow(rows.map(unpacked), batch.mark);
        if (written !== null) return written;
      }
      return await byThread(batch);
    },
    async finish() {
      await thread?.ask(JSON.stringify('finish' satisfies WriterMessage));
    },
    leave() {
      // The runtime would close it when the program ends, and write the log back before.
      closeHere();
      thread?.worker.unref();
    },
  };
}

interface Thread {
  worker: Worker;
  ask(message: string): Promise<Written>;
}

function startThread(): Thread {
  const worker = startWorker('events/recorder.worker.ts');
  let answer = (_: Written) => {};
  worker.onmessage = ({ data }: MessageEvent<Written>) => answer(data);
  worker.onerror = ({ message }) => {
    const what = `The writing thread failed: ${message}`;
    answer({ ok: false, code: 'store-unwritable', what, fix: undefined });
  };
  return {
    worker,
    ask: (message) =>
      new Promise((resolve) => {
        answer = resolve;
        worker.postMessage(message);
      }),
  };
}
