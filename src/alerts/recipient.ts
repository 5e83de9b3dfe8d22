/**
 * For whom a message is. The name of a channel means another one in another policy, so it goes with the policy that
 * says it; an e-mail address is the same person in all.
 */
import { resolve } from 'node:path';
import type { Paths } from '../base/paths.ts';
import type { AlertRule } from '../policy/alerts/alertrule.ts';

export interface Recipient {
  /** The entry of `notify`. */
  lane: string;
  /** By whose channels it is sent; null: by those of any policy that has one for it. */
  source: string | null;
}

/** A policy that has an alert, and whom it names for it. */
export interface Naming {
  source: string;
  notify: readonly string[];
}

/** An alert as it is evaluated: the same in several policies is one, with the `notify` of all. */
export type SharedRule = AlertRule & { namings?: readonly Naming[] };

/** Which policy it is, in every process that goes by it. */
export const sourceOf = (paths: Pick<Paths, 'policy'>, policyFile?: string | null): string =>
  policyFile == null ? paths.policy : resolve(policyFile);

/** `notify` alone where nobody said which policy it is of, as older versions did. */
export function recipientsFor(
  notify: readonly string[],
  namings: readonly Naming[] | undefined,
): Recipient[] {
  if (namings === undefined) return notify.map((lane) => ({ lane, source: null }));
  return eachOnce(namings.flatMap(({ source, notify }) => notify.map((lane) => ({ lane, source }))));
}

export function eachOnce(recipients: readonly Recipient[]): Recipient[] {
  const each = new Map<string, Recipient>();
  for (const { lane, source } of recipients) {
    const key = lane.includes('@') ? lane : `${lane}\n${source ?? ''}`;
    const known = each.get(key);
    each.set(key, known === undefined || known.source === source ? { lane, source } : { lane, source: null });
  }
  return [...each.values()];
}
