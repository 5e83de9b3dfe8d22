/** Loads one large policy on a thread of its own. */
import { compileFromNowOn } from '../base/compiler.ts';
import { Failure, type FailureCode } from '../base/failure.ts';
import { type LoadedPolicy, loadPolicy, type PolicySource } from './load.ts';

export type Answer =
  | { ok: true; loaded: LoadedPolicy }
  | { ok: false; code: FailureCode; message: string; fix: string | undefined };

declare const self: Worker;

compileFromNowOn();
self.onmessage = ({ data }: MessageEvent<PolicySource>) => {
  try {
    const loaded = loadPolicy(data);
    const { table } = loaded.policy;
    const { slots, agentSlots, entries } = table.index;
    const buffers = [table.words, table.untils, slots, agentSlots, entries].map((array) => array.buffer);
    // The documents stay behind: they are many times the size of the policy.
    post({ ok: true, loaded: { ...loaded, documents: [] } }, buffers as ArrayBuffer[]);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    post({ ok: false, code: error.code, message: error.message, fix: error.fix });
  }
};

function post(answer: Answer, transfer: ArrayBuffer[] = []): void {
  self.postMessage(answer, transfer);
}
