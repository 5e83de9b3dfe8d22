import { expect, test } from 'bun:test';
import { systemClock } from '../base/clock.ts';
import { AllStanding, type Standing } from './standing.ts';

function one(name: string, seen: string[], drain?: () => void): Standing {
  return {
    check() {},
    rejudge() {},
    ...(drain && { drain }),
    close: () => void seen.push(name),
  };
}

const noBugs = (bug: unknown) => {
  throw bug;
};

test('a client that comes again as something else while all are drained is not cut', async () => {
  const seen: string[] = [];
  const all = new AllStanding(systemClock, noBugs);
  const [waiter, tunnel] = [one('waiter', seen), one('tunnel', seen)];
  all.add(waiter);
  const closed = all.close(60_000).then(() => seen.push('all'));
  all.delete(waiter);
  all.add(tunnel);
  await new Promise(setImmediate);
  expect(seen).toEqual([]);
  all.delete(tunnel);
  await closed;
  expect(seen).toEqual(['all']);
});

test('what came since is told that no more is wanted, and is cut when the time is over', async () => {
  const seen: string[] = [];
  const all = new AllStanding(systemClock, noBugs);
  const waiter = one('waiter', seen);
  all.add(waiter);
  const closed = all.close(1_200);
  const told = new Promise<void>((resolve) => all.add(one('idle', seen, resolve)));
  all.delete(waiter);
  await told;
  expect(seen).toEqual([]);
  await closed;
  expect(seen).toEqual(['idle']);
});
