/** A short soak; `npm run soak` goes on for as long as one likes. */
import { expect, test } from 'bun:test';
import { holdIdleTunnels, soak } from './soak.ts';

test('mixed traffic arrives as it was sent; descriptors and memory are flat', async () => {
  const { wrong, clients, before, after, restarts } = await soak(1 / 4);
  expect(wrong).toEqual([]);
  expect(restarts).toBe(0);
  expect(clients).toBeGreaterThan(200);
  expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 4);
  expect(after.megabytes).toBeLessThanOrEqual(before.megabytes + 64);
}, 120_000);

test('10,000 idle tunnels stand on two workers, each with 20,000 descriptors at most, and leave none', async () => {
  const held = await holdIdleTunnels(10_000, 1);
  console.log(JSON.stringify(held));
  expect([held.opened, held.answered]).toEqual([10_000, 10_000]);
  // Neither of them could have held all of them alone.
  for (const connections of held.perWorker) expect(connections).toBeGreaterThan(2_000);
  expect(held.descriptorsAfter).toBeLessThanOrEqual(held.descriptorsBefore + 4);
}, 120_000);
