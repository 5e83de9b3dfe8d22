/** Alerts of several policies on one machine. */
import { expect, test } from 'bun:test';
import { openAlertStore } from '../store.ts';
import { alert, openMachine } from './engine.fixture.ts';

const MINUTE = 60_000;
const RULE = alert('blocked_requests > 2 in 1 hour');

/** An incident of `/other.yaml` fires, and all its processes end. */
function fired() {
  const machine = openMachine([]);
  machine.engine.close();
  const other = (rules = [RULE]) => machine.another(rules, openAlertStore(machine.path), '/other.yaml');
  const first = other();
  machine.pass(1_000, first);
  machine.blocked(3);
  machine.pass(1_000, first);
  expect(machine.messages()).toEqual(['firing']);
  first.close();
  return { machine, other };
}

test('what fires of a policy that no process goes by any more is not ended by a gateway of another', () => {
  const { machine, other } = fired();
  let own = machine.another();
  machine.pass(5 * MINUTE, own);
  own.close();
  own = machine.another();
  machine.pass(MINUTE, own);
  expect(machine.messages()).toEqual(['firing']);
  expect(machine.incidents()).toMatchObject([{ state: 'firing', resolvedBy: null }]);
  own.close();
  machine.pass(60 * MINUTE, other());
  expect(machine.incidents()).toMatchObject([{ state: 'resolved', resolvedBy: null }]);
});

test('one that the policy has no longer is ended by whoever evaluates, once a process of it says so', () => {
  const { machine, other } = fired();
  const own = machine.another();
  machine.pass(5 * MINUTE, own);
  expect(machine.incidents()).toMatchObject([{ state: 'firing' }]);
  other([]).step();
  machine.pass(1_000, own);
  expect(machine.incidents()).toMatchObject([{ state: 'resolved', resolvedBy: 'rule-removed' }]);
});

test('in the end it is over all the same', () => {
  const { machine } = fired();
  machine.clock.time += 8 * 24 * 60 * MINUTE;
  machine.pass(1_000, machine.another());
  expect(machine.incidents()).toMatchObject([{ state: 'resolved', resolvedBy: 'rule-removed' }]);
});
