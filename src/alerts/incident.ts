/**
 * One time that an alert held for one group, from when its condition began to hold until it no longer does. It
 * is what is listed, what messages tell and what a person acknowledges.
 */

import type { Severity } from '../policy/alerts/alertrule.ts';
import type { Group } from '../policy/alerts/condition.ts';
import { eachOnce, type Naming, type Recipient, recipientsFor } from './recipient.ts';

/** `pending`: the condition holds, but not yet for as long as the alert wants. */
export type IncidentState = 'pending' | 'firing' | 'resolved';

export interface IncidentHost {
  /** In parentheses where it stands for many (see events/distinct.ts). */
  host: string;
  /** Requests, questions or octets, as the condition counts; findings of a detector. */
  count: number;
  reason: string | null;
}

export interface Acknowledgement {
  /** Wall time, milliseconds. */
  time: number;
  /** The login name of whoever did it. */
  by: string;
}

export interface Incident {
  /** Short, to be typed by a person; the same however often the same history is evaluated. */
  id: string;
  /** The alert's name. */
  rule: string;
  severity: Severity;
  /** The condition as it was written. */
  condition: string;
  /** The same for every incident of the same alert and group. */
  fingerprint: string;
  /** What the condition counts separately; empty where it counts everything together. */
  group: Partial<Record<Group, string>>;
  /** How many groups it stands for, where so many fired together that one message tells of all; otherwise null. */
  groups: number | null;
  state: IncidentState;
  /** Wall times in milliseconds: when the condition began to hold, when it fired, when it no longer held. */
  since: number;
  firedAt: number | null;
  resolvedAt: number | null;
  /** Why it was resolved, where that was not because its condition no longer held. */
  resolvedBy: 'rule-removed' | null;
  /** What the condition counted in all, from the beginning of the window in which it fired. */
  count: number;
  /** What was measured last, and what it is held against; null where a condition has no one number. */
  value: number | null;
  threshold: number | null;
  /** A detector's own sentence. */
  finding: string | null;
  /** Up to five, most first. */
  hosts: IncidentHost[];
  /** Up to twenty. */
  agents: string[];
  /** The policy's rule that decided the last of what was counted; null where no rule did. */
  decidingRule: string | null;
  /** Whom it tells: e-mail addresses and names of channels. */
  notify: string[];
  /** Which policies have its alert, and whom each of them names. Older versions have written none. */
  namings?: Naming[];
  /** Whether a message about it was given to the outbox: none is within a cool-down or a silence, or to nobody. */
  told: boolean;
  /** Whom that one was for, since `notify` follows the policy. Older versions have written none. */
  toldTo?: Recipient[];
  acknowledged: Acknowledgement | null;
  /** Made by `alerts test`, and no more than a test. */
  test: boolean;
}

/** What a message says has happened. */
export type Transition = 'firing' | 'acknowledged' | 'resolved';

/** Who hears of it: that it fires, whom its alert names now; what comes later also those who heard that. */
export function recipientsOf(incident: Incident, transition: Transition): Recipient[] {
  const { notify, namings, told, toldTo = [] } = incident;
  const now = recipientsFor(notify, namings);
  return transition === 'firing' || !told ? now : eachOnce([...now, ...toldTo]);
}
