/** An incident as the engine makes them. */
import type { Incident, Transition } from '../incident.ts';
import type { Notification } from './message.ts';

export const AT = Date.parse('2026-03-01T12:00:00Z');

export function incidentOf(rest: Partial<Incident> = {}): Incident {
  return {
    id: 'k7m2p9',
    rule: 'blocked_request_spike',
    severity: 'high',
    condition: 'blocked_requests > 100 in 5 minutes',
    fingerprint: 'f',
    group: {},
    groups: null,
    state: 'firing',
    since: AT - 120_000,
    firedAt: AT,
    resolvedAt: null,
    resolvedBy: null,
    count: 101,
    value: 101,
    threshold: 100,
    finding: null,
    hosts: [{ host: 'evil.test', count: 101, reason: 'no-rule' }],
    agents: ['support-bot'],
    decidingRule: null,
    notify: [],
    told: true,
    acknowledged: null,
    test: false,
    ...rest,
  };
}

export function notificationOf(
  rest: Partial<Incident> = {},
  transition: Transition = 'firing',
): Notification {
  return { key: 'clawctl_key', transition, time: AT, incident: incidentOf(rest) };
}
