/**
 * Follows the policy's files while gateways run. A change counts once the files have stood still for a moment, so
 * that a file which an editor is still writing is not taken for a policy, and a policy that does not parse never
 * replaces a good one.
 */
import { resolve } from 'node:path';
import { Failure } from '../base/failure.ts';
import { startWorker } from '../base/worker.ts';
import { type LoadedPolicy, loadPolicy, type PolicySource } from './load.ts';
import { type FileState, keepLooking, stateOf } from './look.ts';
import type { Answer } from './watch.worker.ts';

/** After so many looks in a row that each found another file in the old one's place, the one found is taken. */
const MOST_RESTLESS_LOOKS = 4;
/** Files above this size (thousands of rules) are parsed on another thread, for the data path never to stall. */
const LARGEST_HERE = 32_768;

export interface PolicyWatch {
  /** Reads the files again, changed or not, and calls back as for a change. */
  reload(): void;
  close(): void;
}

/**
 * Calls `onChange` with every policy that replaces the one that stood when this was called, and `onBroken` where
 * the files changed to something that is no policy, or went away; both within 300 ms for ordinary sizes. Called
 * before the policy is loaded, it misses no change in between.
 */
export function watchPolicy(
  source: PolicySource,
  onChange: (loaded: LoadedPolicy) => void,
  onBroken: (failure: Failure) => void,
): PolicyWatch {
  const own = source.policyFile === undefined ? source.paths.policy : resolve(source.policyFile);
  const files = [source.paths.machinePolicy, own];
  let handled = files.map(stateOf);
  let seen = handled;
  let restlessLooks = 0;
  let loading = false;
  let closed = false;

  const handle = async (states: readonly FileState[]): Promise<void> => {
    const gone = files.find((_, i) => states[i]!.file === null && present.has(files[i]!));
    if (gone !== undefined)
      throw new Failure(
        'policy-missing',
        `${gone} is gone`,
        'Put it back; until then the policy before it holds.',
      );
    const size = files.reduce((sum, _, i) => sum + states[i]!.size, 0);
    const loaded = size > LARGEST_HERE ? await loadElsewhere(source) : loadPolicy(source);
    if (closed) return;
    for (const [i, file] of files.entries()) if (states[i]!.file !== null) present.add(file);
    onChange(loaded);
  };

  // Files that have been part of the policy: their absence is no wish.
  const present = new Set(files.filter((_, i) => handled[i]!.file !== null));
  const look = (): void => {
    const now = files.map(stateOf);
    const still = same(now, seen);
    // A file that was put in the place of another is whole, however soon the next one follows; one that is
    // written where it stands may be half of what it will be.
    const replaced = now.every((state, i) => state.text === seen[i]!.text || isOther(state, seen[i]!));
    restlessLooks = still || !replaced ? 0 : restlessLooks + 1;
    seen = now;
    if (loading || same(now, handled)) return;
    if (!still && restlessLooks < MOST_RESTLESS_LOOKS) return;
    restlessLooks = 0;
    take(now);
  };
  const take = (now: readonly FileState[]): void => {
    handled = [...now];
    loading = true;
    handle(now)
      .catch((error: unknown) => {
        if (!(error instanceof Failure)) throw error;
        if (!closed) onBroken(error);
      })
      .finally(() => {
        loading = false;
      });
  };
  const stopLooking = keepLooking(look);
  return {
    reload() {
      if (!loading) take(files.map(stateOf));
    },
    close() {
      closed = true;
      stopLooking();
    },
  };
}

/** Whether both are there and are two files. */
function isOther(one: FileState, other: FileState): boolean {
  return one.file !== null && other.file !== null && one.file !== other.file;
}

function same(a: readonly FileState[], b: readonly FileState[]): boolean {
  return a.every((state, i) => state.text === b[i]!.text);
}

/** Loads on a thread of its own; the policy comes back without being copied. */
function loadElsewhere(source: PolicySource): Promise<LoadedPolicy> {
  const worker = startWorker('config/watch.worker.ts');
  const { promise, resolve, reject } = Promise.withResolvers<LoadedPolicy>();
  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    if (data.ok) resolve(data.loaded);
    else reject(new Failure(data.code, data.message, data.fix));
  };
  worker.onerror = ({ message }) =>
    reject(new Failure('policy-broken', `the policy could not be read: ${message}`));
  worker.postMessage(source);
  return promise.finally(() => worker.terminate());
}
