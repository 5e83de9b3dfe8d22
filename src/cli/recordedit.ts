/** Puts an edit of the policy, or another act by hand, into the store, where all that changes what may leave is kept. */
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { Paths } from '../base/paths.ts';
import type { NoticeEvent } from '../events/event.ts';
import { openRecorder } from '../events/recorder.ts';
import { say } from './output.ts';

export async function recordEdit(paths: Paths, edits: readonly string[]): Promise<void> {
  if (edits.length > 0) await recordNotice(paths, 'policy-edited', `${edits.join('; ')}, by hand`);
}

/** The act has been done already; that it cannot be recorded is told, no more. */
export async function recordNotice(paths: Paths, topic: NoticeEvent['topic'], text: string): Promise<void> {
  try {
    const recorder = openRecorder({ store: paths.store });
    await recorder.opened;
    recorder.note({
      kind: 'notice',
      time: systemClock.now(),
      agent: 'clawctl',
      session: '',
      topic,
      text,
    });
    await recorder.close();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    say(`the change could not be recorded: ${error.message}`);
  }
}
