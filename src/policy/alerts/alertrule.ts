/** One alert of the policy: what fires it, how grave it is and whom it tells. */
import type { Source } from '../decision.ts';
import type { Condition } from './condition.ts';

export const SEVERITIES = ['info', 'low', 'medium', 'high', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface AlertRule {
  /** Unique in a policy: letters, digits and . _ - */
  name: string;
  condition: Condition;
  /** The condition as it was written. */
  text: string;
  severity: Severity;
  /** E-mail addresses and names of channels, which need not be configured; none: the alert is only shown. */
  notify: readonly string[];
  /** Milliseconds after a message during which the same alert for the same group sends no other. */
  cooldown: number;
  /** Milliseconds for which the condition has to hold before the alert fires. */
  for: number;
  source: Source;
}
