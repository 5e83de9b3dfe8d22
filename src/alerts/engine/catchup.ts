/** Evaluates what is recorded so far, in a program that does not stay: before a command shows what fires. */
import type { Database } from 'bun:sqlite';
import { systemClock } from '../../base/clock.ts';
import type { Paths } from '../../base/paths.ts';
import { alertsOf, type Policy } from '../../policy/policy.ts';
import type { Outbox } from '../delivery/outbox.ts';
import { sourceOf } from '../recipient.ts';
import { createEngine } from './engine.ts';

/** Milliseconds until it is given up. */
const PATIENCE = 3_000;

export interface CatchUpOptions {
  paths: Pick<Paths, 'store' | 'alerts' | 'policy'>;
  policyFile: string | null;
  policy: Policy;
  /** The open store of alerts. */
  db: Database;
  outbox: Outbox;
}

/** Where another process evaluates there is nothing to do. Answers whether everything recorded was looked at. */
export function catchUp({ paths, policyFile, policy, db, outbox }: CatchUpOptions): boolean {
  const engine = createEngine({
    ...{ store: paths.store, path: paths.alerts, db, outbox, clock: systemClock },
    ...{
      source: sourceOf(paths, policyFile),
      rules: () => alertsOf(policy),
      context: { policy: () => policy },
    },
  });
  try {
    const end = performance.now() + PATIENCE;
    let behind = true;
    while (behind && performance.now() < end) behind = engine.step().isBehind;
    return !behind;
  } finally {
    engine.close();
  }
}
