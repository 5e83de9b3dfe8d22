/** How a service is, in one document: what `/readyz` and `status` show. */
import type { Worker } from './worker.ts';

export interface Condition {
  schema: 'clawctl.egress.readyz/v1';
  ready: boolean;
  state: 'starting' | 'serving' | 'draining';
  pid: number;
  /** Why it is not ready, or what else somebody should know. */
  problems: string[];
  /** Sentences, one for each stop. A service that is stopped by them is ready all the same: it does as it was told. */
  killed: readonly string[];
  listeners: string[];
  workers: { index: number; pid: number | null; serving: boolean; connections: number; restarts: number }[];
}

interface Seen {
  state: Condition['state'];
  listeners: string[];
  /** Which workers have to serve what. */
  ids: readonly { id: number; workers: readonly number[] }[];
  workers: readonly Worker[];
}

export function conditionOf({ state, listeners, ids, workers }: Seen): Condition {
  const items = workers.map((worker, index) => ({
    index,
    pid: worker.pid,
    serving:
      worker.beat !== null &&
      ids.every(({ id, workers: those }) => !those.includes(index) || worker.listening.has(id)),
    connections: worker.beat?.connections ?? 0,
    restarts: worker.restarts,
  }));
  const unserved = ids.some(({ workers: those }) => !those.some((index) => items[index]!.serving));
  const beats = workers.map(({ beat }) => beat).filter((beat) => beat !== null);
  const problems: string[] = [];
  if (state !== 'serving') problems.push(`it is ${state}`);
  if (unserved) problems.push('a listener has no worker');
  const unwritable = beats.some(({ writable }) => !writable);
  if (unwritable) problems.push('the store cannot be written, so everything is refused');
  const ready = problems.length === 0;
  for (const { rejected } of beats.slice(0, 1))
    if (rejected !== null) problems.push(`the policy is broken, and the one before it holds: ${rejected}`);
  if (items.some(({ serving }) => !serving) && !unserved) problems.push('a worker is being started');
  return {
    schema: 'clawctl.egress.readyz/v1',
    ...{ ready, state, pid: process.pid, problems, killed: beats[0]?.kills ?? [], listeners, workers: items },
  };
}
