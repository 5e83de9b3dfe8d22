import { expect, test } from 'bun:test';
import { denied } from '../../events/event.fixture.ts';
import { alert, type Machine, openMachine, START } from '../engine/engine.fixture.ts';

const HOUR = 3_600_000;
const WEEK = 168 * HOUR;

/** So many refusals in each of the hours that are so many weeks ago. */
function refusedBefore(machine: Machine, agent: string, weeks: Record<number, number>): void {
  for (const [week, count] of Object.entries(weeks)) {
    machine.record(denied({ time: START - Number(week) * WEEK + 60_000, agent, count }));
  }
}

const THRICE = 'blocked_requests > 3x baseline in 1 hour per agent';

test('three times what is usual at this hour of the week fires, and no less', () => {
  const machine = openMachine([alert(THRICE)]);
  refusedBefore(machine, 'claude', { 1: 100, 2: 140, 3: 60 });
  machine.pass(60_000);
  machine.blocked(300);
  machine.pass(1_000);
  expect(machine.messages()).toEqual([]);
  machine.blocked(1);
  machine.pass(1_000);
  expect(machine.messages()).toEqual(['firing claude']);
  expect(machine.incidents()).toMatchObject([{ value: 301, threshold: 300 }]);
});

test('an agent is held against its own history, and other hours say nothing', () => {
  const machine = openMachine([alert(THRICE)]);
  refusedBefore(machine, 'other', { 1: 10_000 });
  machine.record(denied({ time: START - WEEK + 2 * HOUR, count: 10_000 }));
  machine.pass(60_000);
  machine.blocked(61);
  machine.pass(1_000);
  expect(machine.messages()).toEqual(['firing claude']);
});

test('a quiet agent does not fire on nothing', () => {
  const machine = openMachine([alert(THRICE)]);
  refusedBefore(machine, 'claude', { 1: 1, 2: 1 });
  machine.pass(60_000);
  machine.blocked(60);
  machine.pass(1_000);
  expect(machine.messages()).toEqual([]);
  machine.blocked(1);
  machine.pass(1_000);
  expect(machine.messages()).toEqual(['firing claude']);
});

test('weeks before an agent was there do not make it look quieter than it is', () => {
  const machine = openMachine([alert(THRICE)]);
  refusedBefore(machine, 'other', { 4: 10 });
  refusedBefore(machine, 'claude', { 1: 100 });
  machine.pass(60_000);
  machine.blocked(299);
  machine.pass(1_000);
  expect(machine.messages()).toEqual([]);
});

test('less than usual fires only where usual is more than next to nothing', () => {
  const machine = openMachine([alert('blocked_requests < 0.5x baseline in 10 minutes per agent')]);
  refusedBefore(machine, 'claude', { 1: 600 });
  refusedBefore(machine, 'quiet', { 1: 6 });
  for (let minute = 0; minute < 12; minute++) {
    machine.blocked(10);
    machine.blocked(1, { agent: 'quiet' });
    machine.pass(60_000);
  }
  machine.pass(9 * 60_000);
  expect(machine.messages()).toEqual(['firing claude']);
});
