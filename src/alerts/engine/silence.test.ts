import { expect, test } from 'bun:test';
import { allowed } from '../../events/event.fixture.ts';
import type { NoticeEvent } from '../../events/event.ts';
import { alert, type Machine, openMachine } from './engine.fixture.ts';

const MINUTE = 60_000;
const QUIET = 'allowed_requests == 0 in 10 minutes per agent';

function used(machine: Machine, agent = 'claude'): void {
  machine.record(allowed({ time: machine.clock.time, agent }));
}

function told(machine: Machine, topic: NoticeEvent['topic'], agent: string): void {
  machine.record({ kind: 'notice', time: machine.clock.time, agent, session: 's', topic, text: '' });
}

test('an agent that falls silent fires, each for itself, and resolves when it is heard again', () => {
  const machine = openMachine([alert(QUIET)]);
  for (let n = 0; n < 12; n++) {
    used(machine);
    used(machine, 'bot');
    machine.pass(MINUTE);
  }
  for (let n = 0; n < 12; n++) {
    used(machine);
    machine.pass(MINUTE);
  }
  expect(machine.messages()).toEqual(['firing bot']);
  used(machine, 'bot');
  machine.pass(1_000);
  expect(machine.messages()).toEqual(['firing bot', 'resolved bot']);
});

test('time before anybody watched is no silence', () => {
  const machine = openMachine([alert('allowed_requests == 0 in 10 minutes')]);
  machine.pass(9 * MINUTE);
  expect(machine.messages()).toEqual([]);
  machine.pass(2 * MINUTE);
  expect(machine.messages()).toEqual(['firing']);
});

test('a laptop that slept was not silent', () => {
  const machine = openMachine([alert(QUIET)]);
  for (let n = 0; n < 12; n++) {
    used(machine);
    machine.pass(MINUTE);
  }
  machine.clock.time += 8 * 3_600_000;
  machine.pass(9 * MINUTE);
  expect(machine.messages()).toEqual([]);
  used(machine);
  machine.pass(11 * MINUTE);
  expect(machine.messages()).toEqual(['firing claude']);
});

test('a machine on which no gateway ran was not silent, and what still fires goes on', () => {
  const machine = openMachine([alert('allowed_requests == 0 in 10 minutes')]);
  machine.pass(12 * MINUTE);
  expect(machine.messages()).toEqual(['firing']);
  used(machine);
  machine.pass(MINUTE);
  machine.engine.close();
  machine.clock.time += 3_600_000;
  const next = machine.another();
  machine.pass(9 * MINUTE, next);
  expect(machine.messages()).toEqual(['firing', 'resolved']);
  machine.pass(2 * MINUTE, next);
  expect(machine.messages()).toEqual(['firing', 'resolved', 'firing']);
});

test('an agent whose fence has ended is not silent, also for an engine that comes later', () => {
  const machine = openMachine([alert(QUIET)]);
  told(machine, 'gateway-started', 'claude');
  for (let n = 0; n < 12; n++) {
    used(machine);
    machine.pass(MINUTE);
  }
  told(machine, 'gateway-stopped', 'claude');
  machine.pass(5 * MINUTE);
  machine.engine.close();
  const next = machine.another();
  machine.pass(60 * MINUTE, next);
  expect(machine.messages()).toEqual([]);
  told(machine, 'gateway-started', 'claude');
  used(machine);
  machine.pass(11 * MINUTE, next);
  expect(machine.messages()).toEqual(['firing claude']);
});

test('a negated spike is no silence while nobody watched', () => {
  const machine = openMachine([alert('not allowed_requests > 0 in 10 minutes')]);
  machine.pass(9 * MINUTE);
  machine.clock.time += 3_600_000;
  machine.pass(9 * MINUTE);
  expect(machine.messages()).toEqual([]);
  machine.pass(2 * MINUTE);
  expect(machine.messages()).toEqual(['firing']);
});

test('time in which nobody watched does not count towards how long a condition has to hold', () => {
  const machine = openMachine([alert('allowed_requests == 0 in 1 minute', { for: 10 * MINUTE })]);
  machine.pass(5 * MINUTE);
  machine.clock.time += 3_600_000;
  machine.pass(10 * MINUTE);
  expect(machine.messages()).toEqual([]);
  machine.pass(2 * MINUTE);
  expect(machine.messages()).toEqual(['firing']);
});
