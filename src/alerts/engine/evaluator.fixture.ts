/** A program for tests that have to kill it: evaluates a thousand alerts, each about one host, until it is ended. */
import { dirname, join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import type { Policy } from '../../policy/policy.ts';
import { createOutbox } from '../delivery/outbox.ts';
import { openAlertStore } from '../store.ts';
import { alert } from './engine.fixture.ts';
import { createEngine } from './engine.ts';

const [store, count] = process.argv.slice(2) as [string, string];
const path = join(dirname(store), 'alerts.db');
const db = openAlertStore(path);
const rules = Array.from({ length: Number(count) }, (_, n) =>
  alert(`blocked_requests > 0 in 1 hour where host = h${n}.example`, { name: `h${n}`, cooldown: 3_600_000 }),
);
const engine = createEngine({
  ...{ store, path, db, clock: systemClock, source: 'egress.yaml', rules: () => rules },
  ...{ outbox: createOutbox(db, systemClock), context: { policy: () => ({}) as Policy } },
});
let was = '';
for (;;) {
  const is = stepOnce();
  if (is !== was) process.stdout.write(`${is}\n`);
  was = is;
  await Bun.sleep(5);
}

function stepOnce(): string {
  try {
    return engine.step().isHolder ? 'evaluates' : 'stands by';
  } catch {
    // Another one writes; the next step tries again.
    return was;
  }
}
