/** What the commands about alerts work on: the policy's alerts and channels, the store of alerts, the outbox. */
import type { Database } from 'bun:sqlite';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { notice, writeNotices } from '../../alerts/audit.ts';
import { createDeliveries } from '../../alerts/delivery/delivery.ts';
import { createOutbox, type Delivery, type Outbox, type Outcome } from '../../alerts/delivery/outbox.ts';
import { catchUp } from '../../alerts/engine/catchup.ts';
import { type AlertsReading, openAlertsReading } from '../../alerts/reading.ts';
import { sourceOf } from '../../alerts/recipient.ts';
import { openAlertStore } from '../../alerts/store.ts';
import { systemClock } from '../../base/clock.ts';
import { Failure } from '../../base/failure.ts';
import { type Paths, pathsOf } from '../../base/paths.ts';
import { loadPolicy } from '../../config/load.ts';
import { createWriter } from '../../events/writer.ts';
import { printable } from '../../names/display.ts';
import type { AlertRule } from '../../policy/alerts/alertrule.ts';
import { alertsOf, channelsOf, type Policy } from '../../policy/policy.ts';
import { didYouMean } from '../../policy/problem.ts';
import { say } from '../output.ts';

export interface Desk {
  paths: Paths;
  policy: Policy;
  /** Which policy it is: what another's channels are to deliver is left to its processes. */
  source: string;
  db: Database;
  outbox: Outbox;
  /** Has delivered what is due, each tried once, for so long at most; `lane`: only there. */
  deliver(
    milliseconds: number,
    lane?: string | null,
    onOutcome?: (delivery: Delivery, outcome: Outcome) => void,
  ): Promise<void>;
  /** Evaluates what is recorded and no gateway has evaluated yet. */
  catchUp(): void;
  /** Puts what was done among the records. */
  close(): void;
}

export const policyOf = (policyFile: string | undefined): Policy =>
  loadPolicy(policyFile === undefined ? { paths: pathsOf() } : { paths: pathsOf(), policyFile }).policy;

/** Throws Failure. */
export function openDesk(policyFile?: string): Desk {
  const paths = pathsOf();
  const policy = policyOf(policyFile);
  const db = openAlertStore(paths.alerts);
  const source = sourceOf(paths, policyFile);
  const outbox = createOutbox(db, systemClock, {
    source,
    notice: (topic, text) => notice(db, systemClock.now(), topic, text),
  });
  return {
    ...{ paths, policy, source, db, outbox },
    async deliver(milliseconds, lane = null, onOutcome = () => {}) {
      const channels = () => channelsOf(policy);
      const deliveries = createDeliveries({ outbox, channels, lane, once: true, onOutcome });
      await deliveries.drain(milliseconds);
      await deliveries.close();
    },
    catchUp() {
      const file = policyFile === undefined ? null : resolve(policyFile);
      catchUp({ paths, policyFile: file, policy, db, outbox });
    },
    close() {
      const writer = createWriter(paths.store);
      if (!writeNotices(db, paths.store, writer, true))
        say('it could not be recorded yet; whoever writes to the store next does it');
      db.close();
    },
  };
}

/**
 * Evaluates what no gateway has yet, so that a command shows what is so now. Only where this policy's alerts are the
 * only ones in use: looking at one policy must not end the alerts of another. What cannot be written is left alone.
 */
export function catchUpAll(policyFile: string | undefined): void {
  const paths = pathsOf();
  if (!existsSync(paths.store) || !existsSync(paths.alerts)) return;
  try {
    const sources = ask<string[]>([], (reading) => reading.sources());
    const own = sourceOf(paths, policyFile);
    if (sources.length === 0 || sources.some((source) => source !== own)) return;
    const desk = openDesk(policyFile);
    try {
      desk.catchUp();
    } finally {
      desk.close();
    }
  } catch {
    // The command says what it can read.
  }
}

/** Answers with what is in the store of alerts, or `empty` where there is none yet. */
export function ask<T>(empty: T, question: (reading: AlertsReading) => T): T {
  const reading = openAlertsReading(pathsOf().alerts);
  if (reading === null) return empty;
  try {
    return question(reading);
  } finally {
    reading.close();
  }
}

/** The alert of this name. Throws Failure. */
export function alertNamed(policy: Policy, name: string): AlertRule {
  const alerts = alertsOf(policy);
  const found = pick(
    'alert',
    name,
    alerts.map((alert) => alert.name),
  );
  return alerts.find((alert) => alert.name === found)!;
}

/** The name, where it is one of these. Throws Failure that says which was meant. */
export function pick(what: 'alert' | 'channel', name: string, names: readonly string[]): string {
  if (names.includes(name)) return name;
  throw new Failure(
    'not-found',
    `There is no ${what} '${printable(name)}'.`,
    names.length === 0
      ? `Configure one under ${what}s: in the policy.`
      : didYouMean(name, [...new Set(names)]),
  );
}

/** Who does it, for the record. */
export function personName(): string {
  const name = process.env.SUDO_USER ?? process.env.USER ?? process.env.LOGNAME ?? '';
  return printable(name === '' ? `uid ${process.getuid!()}` : name).slice(0, 64);
}
