import { expect, test } from 'bun:test';
import type { Policy } from '../policy/policy.ts';
import { missedBefore, type Span } from './counting/presence.ts';
import { alert, type Machine, openMachine, START } from './engine/engine.fixture.ts';
import { openAlertsReading } from './reading.ts';
import { replay } from './replay.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;
const QUIET = alert('blocked_requests == 0 in 10 minutes');

/** What would have fired since the machine was started. */
function fired(machine: Machine, missed: readonly Span[]): number[] {
  const { store, clock } = machine;
  const span = { since: START, until: clock.time };
  const { incidents } = replay({ store, rules: [QUIET], policy: {} as Policy, ...span, missed });
  return incidents.map(({ firedAt }) => Math.round((firedAt! - START) / MINUTE));
}

test('time in which nobody watched is no silence, looking back as little as at the moment', () => {
  const machine = openMachine([alert('blocked_requests > 1000 in 1 minute')]);
  const busy = (minutes: number) => {
    for (let n = 0; n < minutes; n++) {
      machine.blocked(1);
      machine.pass(MINUTE);
    }
  };
  busy(15);
  machine.clock.time += 30 * MINUTE; // the laptop sleeps
  busy(15);
  machine.pass(12 * MINUTE); // and here it is quiet
  machine.clock.time += 20 * MINUTE; // and now nobody watches
  const reading = openAlertsReading(machine.path)!;
  const missed = reading.missed(machine.clock.time);
  reading.close();
  expect(fired(machine, missed)).toEqual([69]);
  expect(fired(machine, [])).toEqual([24, 69]);
}, 30_000);

test('what is too long ago to be known counts as missed', () => {
  const now = START + 30 * DAY;
  const known = now - 8 * DAY;
  const span = (since: number, until: number) => ({ since, until });
  expect(missedBefore(now, [])).toEqual([span(0, known)]);
  expect(missedBefore(now, [span(0, known - 2), span(known + 5, known + 9)])).toEqual([
    span(0, known),
    span(known + 5, known + 9),
  ]);
  expect(missedBefore(now, [span(known - 5, known + 5), span(known + 5, known + 9)])).toEqual([
    span(0, known + 9),
  ]);
});
