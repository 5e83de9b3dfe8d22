/** The thread that commits: it gets batches as JSON, the store's path with each, and answers them. */
import { compileFromNowOn } from '../base/compiler.ts';
import type { Mark } from './journal.ts';
import { type PackedRow, unpacked } from './packedrow.ts';
import { createWriter, type Writer, type Written } from './writer.ts';

declare const self: Worker;

/** No rows: the store is opened, no more. */
export type WriterMessage = { path: string; rows: PackedRow[]; mark: Mark | null } | 'finish';

let writer: Writer | null = null;

self.onmessage = ({ data }: MessageEvent<string>) => {
  const message = JSON.parse(data) as WriterMessage;
  if (message === 'finish') {
    writer?.finish();
    self.postMessage({ ok: true, replaced: null } satisfies Written);
    return;
  }
  const isFirst = writer === null;
  writer ??= createWriter(message.path);
  self.postMessage(writer.write(message.rows.map(unpacked), message.mark));
  if (isFirst) compileFromNowOn();
};
