/** How the kernel shares out the processors among threads. */
import { dlopen } from 'bun:ffi';

const SCHED_BATCH = 3; // linux/sched.h

/**
 * From now on this thread waits for its turn where others work, instead of interrupting them whenever something comes
 * for it (sched(7), SCHED_BATCH). Where that is not allowed nothing changes.
 */
export function waitForTurns(): void {
  const { symbols, close } = dlopen('libc.so.6', {
    sched_setscheduler: { args: ['int', 'int', 'ptr'], returns: 'int' },
  });
  symbols.sched_setscheduler(0, SCHED_BATCH, new Int32Array(1));
  close();
}
