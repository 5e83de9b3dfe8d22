/** How a service is, in one document: what `/readyz` and `status` show. */
import type { Trouble, Worker } from './worker.ts';

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
  opened: readonly {
    id: number;
    /** As it is listed: `proxy 127.0.0.1:8880`. */
    place: string;
    /** Which workers have to serve it. */
    workers: readonly number[];
  }[];
  /** What should be open and is not. */
  missing: readonly { place: string; why: string }[];
  workers: readonly Pick<Worker, 'pid' | 'beat' | 'listening' | 'troubles' | 'restarts'>[];
}

export function conditionOf({ state, opened, missing, workers }: Seen): Condition {
  const serves = (index: number, id: number) =>
    workers[index]!.beat !== null && workers[index]!.listening.has(id);
  const items = workers.map((worker, index) => ({
    index,
    pid: worker.pid,
    serving:
      worker.beat !== null &&
      opened.every(({ id, workers: those }) => !those.includes(index) || serves(index, id)),
    connections: worker.beat?.connections ?? 0,
    restarts: worker.restarts,
  }));
  const beats = workers.map(({ beat }) => beat).filter((beat) => beat !== null);
  const problems: string[] = [];
  if (state !== 'serving') problems.push(`it is ${state}`);
  for (const { place, why } of missing) problems.push(`${place} is not open: ${why}`);
  for (const { id, place, workers: those } of opened) {
    if (those.some((index) => serves(index, id))) continue;
    const why = those
      .map((index) => workers[index]!.troubles.get(id)?.why)
      .find((each) => each !== undefined);
    problems.push(`${place} has no worker${why === undefined ? '' : `: ${why}`}`);
  }
  const unwritable = beats.some(({ writable }) => !writable);
  if (unwritable) problems.push('the store cannot be written, so everything is refused');
  const ready = problems.length === 0;
  for (const { rejected } of beats.slice(0, 1))
    if (rejected !== null) problems.push(`the policy is broken, and the one before it holds: ${rejected}`);
  for (const { id, place, workers: those } of opened) {
    if (!those.some((index) => serves(index, id))) continue;
    const all = those.flatMap((index) => {
      const trouble = workers[index]!.troubles.get(id);
      return trouble === undefined ? [] : [troubleText(place, trouble, index)];
    });
    problems.push(...new Set(all));
  }
  const isStarting = workers.some(({ beat }, index) => beat === null || lacksUnexplained(index));
  if (isStarting && ready) problems.push('a worker is being started');
  return {
    schema: 'clawctl.egress.readyz/v1',
    ...{ ready, state, pid: process.pid, problems, killed: beats[0]?.kills ?? [] },
    ...{ listeners: opened.map(({ place }) => place), workers: items },
  };

  /** It does not serve something yet, and has not said that it cannot. */
  function lacksUnexplained(index: number): boolean {
    return opened.some(
      ({ id, workers: those }) =>
        those.includes(index) && !serves(index, id) && !workers[index]!.troubles.has(id),
    );
  }
}

/** What goes on as before does so in every worker; what is not served may be one worker's trouble. */
export function troubleText(place: string, { why, kept }: Trouble, worker: number): string {
  if (kept !== null) return `${place} goes on ${kept}: ${why}`;
  return `worker ${worker} cannot serve ${place}: ${why}`;
}
