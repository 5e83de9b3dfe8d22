import { expect, test } from 'bun:test';
import { systemClock } from '../base/clock.ts';
import { policyOf } from './gateway.fixture.ts';
import { createUsage, leavingRoom } from './usage.ts';

test('one agent leaves room for the others, whatever the policy lets it have', () => {
  const policy = policyOf('mode: enforce\n');
  const usage = leavingRoom(createUsage({ policy: () => policy, clock: systemClock }), 3);
  const all = Array.from({ length: 5 }, () => usage.tryOpen('greedy'));
  expect(all).toEqual([null, null, null, 'limit-connections', 'limit-connections']);
  expect(usage.tryOpen('modest')).toBe(null);
  usage.closed('greedy');
  expect([usage.tryOpen('greedy'), usage.tryOpen('greedy')]).toEqual([null, 'limit-connections']);
});
