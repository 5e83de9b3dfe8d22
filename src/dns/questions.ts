/**
 * Records what was asked, so that names used to carry something away are seen although they carried nothing: a
 * name and type once a minute at once, what repeats it as a count when the minute is over. Bounded: past
 * DISTINCT_MAX a minute the rest is one count, so a flood costs a row and the total stays exact. That a lookup
 * went without an address is told once a minute.
 */
import type { Clock } from '../base/clock.ts';
import { OTHER_HOSTS } from '../events/distinct.ts';
import type { NoticeEvent, QuestionEvent } from '../events/event.ts';

export interface QuestionLog {
  asked(name: string, type: string): void;
  /** A name went without an address because all are taken. */
  exhausted(): void;
  /** Records the counts that are still open. */
  close(): void;
}

interface Options {
  clock: Clock;
  agent: string;
  session: string;
  note(event: QuestionEvent | NoticeEvent): void;
}

const MINUTE = 60_000;
const DISTINCT_MAX = 5_000;
const OTHER_TYPES = '(other)';

interface Counted {
  host: string;
  type: string;
  /** Asked again since the row that was written at once. */
  repeats: number;
}

export function createQuestionLog(options: Options): QuestionLog {
  const { clock, agent, session, note } = options;
  let minute = 0;
  let counts = new Map<string, Counted>();
  let others = 0;
  let noticed = -1;

  const record = (host: string, type: string, count: number) =>
    note({ kind: 'question', time: clock.now(), agent, session, host, type, count });

  const close = () => {
    for (const { host, type, repeats } of counts.values()) if (repeats > 0) record(host, type, repeats);
    if (others > 0) record(OTHER_HOSTS, OTHER_TYPES, others);
    counts = new Map();
    others = 0;
  };

  return {
    asked(host, type) {
      const now = Math.floor(clock.now() / MINUTE);
      if (now !== minute) {
        close();
        minute = now;
      }
      const key = `${type} ${host}`;
      const known = counts.get(key);
      if (known !== undefined) {
        known.repeats++;
      } else if (counts.size < DISTINCT_MAX) {
        counts.set(key, { host, type, repeats: 0 });
        record(host, type, 1);
      } else {
        others++;
      }
    },
    exhausted() {
      const now = Math.floor(clock.now() / MINUTE);
      if (now === noticed) return;
      noticed = now;
      const text = 'a lookup failed: too many names were asked for at once';
      note({ kind: 'notice', time: clock.now(), agent, session, topic: 'addresses-exhausted', text });
    },
    close,
  };
}
