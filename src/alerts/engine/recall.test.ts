import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { allowed, closed, refusal } from '../../events/event.fixture.ts';
import type { AlertRule } from '../../policy/alerts/alertrule.ts';
import { alert, type Machine, openMachine } from './engine.fixture.ts';

const MINUTE = 60_000;

/** As retention does, only more. */
function evictRows(machine: Machine): void {
  const db = new Database(machine.store, { readwrite: true });
  db.run('DELETE FROM event');
  db.close();
}

function restarted(machine: Machine, rules?: readonly AlertRule[]) {
  machine.engine.close();
  const engine = machine.another(rules);
  machine.pass(250, engine);
  return engine;
}

test('windows are what they were after a restart, also where the rows are gone', () => {
  const machine = openMachine([alert('blocked_requests > 100 in 5 minutes')]);
  machine.pass(1_000);
  machine.blocked(60);
  machine.pass(MINUTE);
  evictRows(machine);
  const engine = restarted(machine);
  machine.blocked(40);
  machine.pass(1_000, engine);
  expect(machine.messages()).toEqual([]);
  machine.blocked(1);
  machine.pass(1_000, engine);
  expect(machine.messages()).toEqual(['firing']);
  expect(machine.incidents()).toMatchObject([{ value: 101, count: 101 }]);
});

test('rows that were evicted before anybody evaluated them still count', () => {
  const machine = openMachine([alert('blocked_requests > 100 in 5 minutes')]);
  machine.pass(1_000);
  machine.engine.close();
  machine.blocked(101);
  evictRows(machine);
  machine.pass(1_000, machine.another());
  expect(machine.messages()).toEqual(['firing']);
});

test('windows of hours are what they were after a restart', () => {
  const rules = [
    alert('bytes_up > 1000 in 3 hours per agent', { name: 'up' }),
    alert('blocked_requests > 10 in 2 hours where host = evil.example', { name: 'blocked' }),
    alert('allowed_requests > 7 in 90 minutes', { name: 'allowed' }),
  ];
  const machine = openMachine(rules);
  machine.pass(1_000);
  const { time } = machine.clock;
  machine.record(closed({ time, bytesUp: 600 }));
  machine.blocked(6);
  for (let n = 0; n < 5; n++) machine.record(allowed({ time, connection: n }));
  machine.record(refusal({ time, connection: 0 }));
  machine.pass(80 * MINUTE);
  let engine = restarted(machine);
  machine.record(closed({ time: machine.clock.time, bytesUp: 401 }));
  machine.blocked(4);
  machine.blocked(100, { host: 'another.example' });
  for (let n = 0; n < 3; n++) machine.record(allowed({ time: machine.clock.time, connection: 100 + n }));
  machine.pass(1_000, engine);
  expect(machine.messages()).toEqual(['firing claude']);
  engine.close();
  engine = machine.another();
  machine.blocked(1);
  machine.record(allowed({ time: machine.clock.time, connection: 200 }));
  machine.pass(1_000, engine);
  expect(machine.incidents().map(({ rule, state, value }) => [rule, state, value])).toEqual([
    ['up', 'firing', 1_001],
    ['blocked', 'firing', 11],
    ['allowed', 'firing', 8],
  ]);
});

test('an open incident goes on after a restart, and resolves when it would have', () => {
  const machine = openMachine([alert('blocked_requests > 5 in 1 minute per host', { cooldown: 600_000 })]);
  machine.pass(1_000);
  machine.blocked(6);
  machine.pass(20_000);
  const engine = restarted(machine);
  machine.blocked(6);
  machine.pass(30_000, engine);
  expect(machine.messages()).toEqual(['firing evil.example']);
  machine.pass(MINUTE, engine);
  expect(machine.messages()).toEqual(['firing evil.example', 'resolved evil.example']);
  expect(machine.incidents()).toMatchObject([{ count: 12 }]);
});

test('a flood of groups goes on as one after a restart', () => {
  const machine = openMachine([alert('blocked_requests > 2 in 1 minute per host')]);
  machine.pass(1_000);
  for (let n = 0; n < 10; n++) machine.blocked(3, { host: `h${n}.example` });
  machine.pass(10_000);
  let engine = restarted(machine);
  for (let restarts = 0; restarts < 3; restarts++) {
    machine.pass(5_000, engine);
    expect(machine.incidents()).toMatchObject([{ groups: 10, count: 30 }]);
    engine.close();
    engine = machine.another();
  }
  machine.blocked(2, { host: 'h0.example' });
  machine.blocked(3, { host: 'new.example' });
  machine.pass(10_000, engine);
  expect(machine.incidents()).toMatchObject([{ groups: 11, count: 35 }]);
  expect(machine.messages()).toEqual(['firing 10 groups']);
  machine.pass(MINUTE, engine);
  expect(machine.messages()).toEqual(['firing 10 groups', 'resolved 11 groups']);
});

test('a domain is not new again after a restart', () => {
  const machine = openMachine([alert('new_blocked_domains > 1 in 10 minutes')]);
  machine.pass(1_000);
  machine.blocked(1, { host: 'a.example' });
  machine.pass(1_000);
  let engine = restarted(machine);
  machine.blocked(1, { host: 'a.example' });
  machine.pass(1_000, engine);
  expect(machine.messages()).toEqual([]);
  engine.close();
  machine.blocked(1, { host: 'b.test' });
  engine = machine.another();
  machine.pass(1_000, engine);
  expect(machine.messages()).toEqual(['firing']);
});

test('a burst that nobody evaluated in time fires all the same, when somebody does', () => {
  const machine = openMachine([alert('blocked_requests > 5 in 1 minute')]);
  machine.pass(1_000);
  machine.engine.close();
  machine.blocked(6);
  machine.clock.time += 30 * MINUTE;
  machine.pass(1_000, machine.another());
  expect(machine.messages()).toEqual(['firing', 'resolved']);
  const [incident] = machine.incidents();
  expect(incident!.resolvedAt! - incident!.firedAt!).toBeLessThanOrEqual(MINUTE);
});

test('a clock that is set back loses nothing', () => {
  const machine = openMachine([alert('blocked_requests > 5 in 1 minute')]);
  machine.clock.time += 3_600_000;
  machine.pass(1_000);
  machine.blocked(3);
  machine.pass(1_000);
  machine.clock.time -= 3_600_000;
  machine.pass(1_000);
  machine.blocked(6);
  machine.pass(1_000);
  expect(machine.messages()).toEqual(['firing']);
});

test('rows from the future count now', () => {
  const machine = openMachine([alert('blocked_requests > 5 in 1 minute')]);
  machine.pass(1_000);
  machine.blocked(6, { time: machine.clock.time + 3_600_000 });
  machine.pass(2 * MINUTE);
  expect(machine.messages()).toEqual(['firing', 'resolved']);
});

test('where there never was an engine, the last hour is looked at, and nothing before', () => {
  const machine = openMachine([alert('blocked_requests > 5 in 1 minute')]);
  machine.blocked(6, { time: machine.clock.time - 90 * MINUTE, host: 'old.example' });
  machine.blocked(6, { time: machine.clock.time - 30 * MINUTE, host: 'new.example' });
  machine.pass(1_000);
  expect(machine.messages()).toEqual(['firing', 'resolved']);
});

test('engines of several policies evaluate the alerts of all, and the same alert once', () => {
  const both = alert('blocked_requests > 5 in 1 minute', { name: 'both', notify: ['a'] });
  const other = alert('blocked_requests > 6 in 1 minute', { name: 'other' });
  const machine = openMachine([both]);
  machine.pass(1_000);
  const second = machine.another([{ ...both, notify: ['b'] }, other], undefined, 'other.yaml');
  machine.pass(1_000, second);
  machine.blocked(7);
  machine.pass(1_000);
  expect(machine.incidents().map(({ rule, notify }) => [rule, notify])).toEqual([
    ['both', ['a', 'b']],
    ['other', ['oncall']],
  ]);
});
