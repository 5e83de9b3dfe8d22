/** A short look at everything that is fuzzed; `npm run fuzz` looks for longer. */
import { expect, test } from 'bun:test';
import { TARGETS } from './targets.ts';

/** Milliseconds for each. */
const SHORT = 250;

for (const target of TARGETS)
  test(target.name, async () => {
    const { tried, accepted } = await target.run(SHORT, Math.floor(Math.random() * 2 ** 31));
    expect(tried).toBeGreaterThan(10);
    // What accepts nothing proves nothing.
    expect(accepted).toBeGreaterThan(0);
  });
