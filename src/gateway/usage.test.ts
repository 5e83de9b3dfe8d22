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

test('a clock that is set back over midnight and forward again gives no day a second time', () => {
  const policy = policyOf('limits: {bytes_up: 100 B/day}\n');
  const clock = { ...systemClock, time: Date.parse('2026-03-02T23:30:00Z'), now: () => clock.time };
  const usage = createUsage({ policy: () => policy, clock });
  const send = (at: string) => {
    clock.time = Date.parse(at);
    return usage.up('bot', null, 60);
  };
  expect(send('2026-03-02T23:30:00Z')).toBe(null);
  expect(send('2026-03-03T00:30:00Z')).toBe(null);
  expect(send('2026-03-02T23:31:00Z')).toBe('limit-bytes-up');
  expect(send('2026-03-03T00:31:00Z')).toBe('limit-bytes-up');
  expect(send('2026-03-04T00:00:00Z')).toBe(null);
});
