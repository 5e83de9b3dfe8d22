import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { afterwards } from './afterwards.ts';

test('what has come while the thread was busy is heard before the time is over', async () => {
  const order: string[] = [];
  const over = Promise.withResolvers<void>();
  afterwards(20, () => {
    order.push('over');
    over.resolve();
  });
  // An answer that takes a few turns of the loop to come through.
  const came = (async () => {
    await readFile(import.meta.path);
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    order.push('came');
  })();
  Bun.sleepSync(200);
  await Promise.all([came, over.promise]);
  expect(order).toEqual(['came', 'over']);
});

test('nothing is called once it is taken back, however late', async () => {
  let called = 0;
  const stops = [afterwards(10, () => called++), afterwards(10, () => called++)];
  stops[0]!();
  Bun.sleepSync(20);
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  stops[1]!();
  await Bun.sleep(150);
  expect(called).toBe(0);
});
