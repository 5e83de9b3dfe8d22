/**
 * The alerts that ship with the program and are on, quietly: they are shown by commands and tell nobody until the
 * policy gives one of them a `notify`. An alert of the policy with the same name takes the place of one of these.
 */
import type { AlertRule, Severity } from './alertrule.ts';
import { parseCondition } from './parse.ts';

const VERSION = '1';
export const DEFAULT_COOLDOWN = 3_600_000;
const DAY = 86_400_000;

const LIST: ReadonlyArray<readonly [name: string, severity: Severity, text: string, cooldown?: number]> = [
  ['blocked_request_spike', 'high', 'blocked_requests > 100 in 5 minutes per agent'],
  ['suspicious_domain_attempt', 'high', 'lookalike or risky_tld'],
  ['dns_tunnel', 'high', 'dns_tunnel'],
  ['unusual_egress_volume', 'high', 'unusual_upload'],
  ['unexpected_agent', 'high', 'unexpected_agent'],
  ['new_blocked_domains', 'low', 'new_blocked_domains > 20 in 1 hour per agent'],
  ['failed_request_spike', 'low', 'failed_requests > 50 in 10 minutes per agent'],
  ['first_contact', 'info', 'first_contact', DAY],
  ['policy_rejected', 'high', 'policy_rejected'],
  ['killed', 'medium', 'killed'],
  ['gateway_restarted', 'medium', 'gateway_restarted'],
  ['store_failing', 'critical', 'store_failing'],
  ['fence_broken', 'critical', 'fence_broken'],
];

export const DEFAULT_ALERTS: readonly AlertRule[] = LIST.map(([name, severity, text, cooldown]) => {
  const parsed = parseCondition(text);
  if (!parsed.ok) throw new Error(`${name}: ${parsed.problem.message}`);
  return {
    name,
    condition: parsed.condition,
    text,
    severity,
    notify: [],
    cooldown: cooldown ?? DEFAULT_COOLDOWN,
    for: 0,
    source: { kind: 'preset', preset: 'alerts', version: VERSION },
  };
});

/** The alerts that are on: what files say, and what they say nothing about. */
export function withDefaults(said: readonly (AlertRule & { enabled: boolean })[]): AlertRule[] {
  const names = new Set(said.map(({ name }) => name));
  const on = said.filter(({ enabled }) => enabled).map(({ enabled: _, ...alert }) => alert);
  return [...on, ...DEFAULT_ALERTS.filter(({ name }) => !names.has(name))];
}
