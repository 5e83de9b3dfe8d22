import { expect, test } from 'bun:test';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { newStore } from './event.fixture.ts';
import { openStore } from './store.ts';

/** How many locks this process has on that file (proc_locks(5)). */
function locksOn(path: string): number {
  const { ino } = statSync(path);
  return readFileSync('/proc/locks', 'latin1')
    .split('\n')
    .filter(
      (line) => line.includes(' POSIX ') && line.includes(` ${process.pid} `) && line.includes(`:${ino} `),
    ).length;
}

test('opening it again leaves the locks of those who have it open in this process', () => {
  const store = newStore();
  mkdirSync(dirname(store), { mode: 0o700 });
  const first = openStore(store);
  expect(locksOn(store)).toBe(1);
  const second = openStore(store);
  expect(locksOn(store)).toBe(1);
  second.close();
  expect(locksOn(store)).toBe(1);
  first.close();
  expect(locksOn(store)).toBe(0);
});
