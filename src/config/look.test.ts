import { afterAll, expect, test } from 'bun:test';
import {
  chmodSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keepLooking, stateOf } from './look.ts';

const folder = mkdtempSync(join(tmpdir(), 'clawctl-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('every change makes another state', () => {
  const file = join(folder, 'file');
  const other = join(folder, 'other');
  const seen = [stateOf(file)];
  const steps: (() => void)[] = [
    () => writeFileSync(file, 'one', { mode: 0o600 }),
    () => writeFileSync(file, 'three'),
    () => chmodSync(file, 0o640),
    () => utimesSync(file, 1, 1),
    () => {
      writeFileSync(other, 'three', { mode: 0o640 });
      utimesSync(other, 1, 1);
      renameSync(other, file);
    },
    () => {
      unlinkSync(file);
      symlinkSync(join(folder, 'nowhere'), file);
    },
    () => {
      unlinkSync(file);
      symlinkSync('file', file);
    },
  ];
  for (const step of steps) {
    step();
    expect(stateOf(file)).toEqual(stateOf(file));
    seen.push(stateOf(file));
  }
  expect(new Set(seen.map(({ text }) => text)).size).toBe(seen.length);
  expect(seen.map(({ size }) => size)).toEqual([0, 3, 5, 5, 5, 5, 0, 0]);
  expect(seen.map(({ file }) => file !== null)).toEqual([false, true, true, true, true, true, false, false]);
  expect(seen[4]!.file).not.toBe(seen[5]!.file);
  expect(seen[3]!.file).toBe(seen[4]!.file);
});

test('a link is as what it leads to, and another where it leads elsewhere', () => {
  const [link, ...targets] = ['link', 'a', 'b'].map((name) => join(folder, name)) as [string, string, string];
  for (const target of targets) writeFileSync(target, 'same');
  symlinkSync(targets[0]!, link);
  expect(stateOf(link)).toEqual(stateOf(targets[0]!));
  unlinkSync(link);
  symlinkSync(targets[1]!, link);
  expect(stateOf(link)).toEqual(stateOf(targets[1]!));
  expect(stateOf(link).file).not.toBe(stateOf(targets[0]!).file);
});

test('all look together, again and again, until they have had enough', async () => {
  const order: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const stops = ['a', 'b'].map((name) =>
    keepLooking(() => {
      order.push(name);
      if (order.length === 5) stops[1]!();
      if (order.length === 7) resolve();
    }),
  );
  await promise;
  stops[0]!();
  // The sixth came from the round in which the other one stopped.
  expect(order.slice(0, 4)).toEqual(['a', 'b', 'a', 'b']);
  expect(order.slice(-2)).toEqual(['a', 'a']);
  await Bun.sleep(150);
  expect(order.length).toBe(7);
});
