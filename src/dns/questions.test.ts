import { expect, test } from 'bun:test';
import type { NoticeEvent, QuestionEvent } from '../events/event.ts';
import { createQuestionLog } from './questions.ts';

function setup() {
  let now = 1_000 * 60_000;
  const events: (QuestionEvent | NoticeEvent)[] = [];
  const clock = { now: () => now, monotonic: () => now };
  const log = createQuestionLog({ clock, agent: 'bot', session: 's1', note: (event) => events.push(event) });
  const seen = () =>
    events
      .splice(0)
      .map((event) => (event.kind === 'question' ? [event.type, event.host, event.count] : event.topic));
  return {
    log,
    events,
    seen,
    wait: (milliseconds: number) => {
      now += milliseconds;
    },
  };
}

test('a name is recorded at once, and how often it was asked again when the minute is over', () => {
  const { log, seen, wait } = setup();
  for (let i = 0; i < 5; i++) log.asked('a.example', 'A');
  log.asked('a.example', 'AAAA');
  expect(seen()).toEqual([
    ['A', 'a.example', 1],
    ['AAAA', 'a.example', 1],
  ]);
  wait(60_000);
  log.asked('a.example', 'A');
  expect(seen()).toEqual([
    ['A', 'a.example', 4],
    ['A', 'a.example', 1],
  ]);
  log.asked('a.example', 'A');
  log.close();
  expect(seen()).toEqual([['A', 'a.example', 1]]);
});

test('a flood of names is bounded, and no question is lost from the total', () => {
  const { log, events } = setup();
  for (let i = 0; i < 100_000; i++) log.asked(`n${i}.example`, 'A');
  log.close();
  expect(events.length).toBe(5_001);
  expect(events.reduce((sum, event) => sum + (event.kind === 'question' ? event.count : 0), 0)).toBe(100_000);
});

test('lookups without an address are told once a minute', () => {
  const { log, seen, wait } = setup();
  log.exhausted();
  log.exhausted();
  expect(seen()).toEqual(['addresses-exhausted']);
  wait(60_000);
  log.exhausted();
  expect(seen()).toEqual(['addresses-exhausted']);
});
