/** Puts an edit of the policy into the store, where all that changes what may leave is kept. */
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { Paths } from '../base/paths.ts';
import { openRecorder } from '../events/recorder.ts';
import { say } from './output.ts';

/** The edit has been made already; that it cannot be recorded is told, no more. */
export async function recordEdit(paths: Paths, edits: readonly string[]): Promise<void> {
  if (edits.length === 0) return;
  try {
    const recorder = await openRecorder({ store: paths.store });
    const text = `${edits.join('; ')}, by hand`;
    recorder.note({
      kind: 'notice',
      time: systemClock.now(),
      agent: 'clawctl',
      session: '',
      topic: 'policy-edited',
      text,
    });
    await recorder.close();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    say(`the change could not be recorded: ${error.message}`);
  }
}
