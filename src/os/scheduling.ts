/** How the kernel shares out the processors among threads. */
import { OsError, systemCall } from './libc.ts';
import { numberHere } from './syscalls.ts';

const SCHED_BATCH = 3; // linux/sched.h

/**
 * From now on this thread waits for its turn where others work, instead of interrupting them whenever something comes
 * for it (sched(7), SCHED_BATCH). Where that is not allowed nothing changes.
 */
export function waitForTurns(): void {
  try {
    // Of the calling thread (0), with the only priority that there is (0).
    systemCall('sched_setscheduler', numberHere('sched_setscheduler'), 0, SCHED_BATCH, new Int32Array(1));
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
  }
}
