/**
 * PagerDuty Events API v2: trigger, acknowledge and resolve, with the incident's id as deduplication key, so that a
 * second delivery of the same event changes nothing there.
 */
import type { Severity } from '../../policy/alerts/alertrule.ts';
import { type Message, type Notification, plain } from './message.ts';

/** Characters of a summary and of a source. */
const LONGEST_SUMMARY = 1_024;

const ACTIONS = { firing: 'trigger', acknowledged: 'acknowledge', resolved: 'resolve' } as const;
const SEVERITIES: Readonly<Record<Severity, string>> = {
  critical: 'critical',
  high: 'error',
  medium: 'warning',
  low: 'warning',
  info: 'info',
};

export function pagerDutyBody(
  { incident, transition, time }: Notification,
  message: Message,
  routingKey: string,
  source: string,
): object {
  const event = {
    routing_key: routingKey,
    event_action: ACTIONS[transition],
    dedup_key: `clawctl-${incident.id}`,
  };
  if (transition !== 'firing') return event;
  const { subject, summary, facts, hosts, commands } = message;
  return {
    ...event,
    client: 'Clawctl Egress',
    payload: {
      summary: plain(subject).slice(0, LONGEST_SUMMARY),
      source,
      severity: SEVERITIES[incident.severity],
      timestamp: new Date(time).toISOString(),
      component: 'egress',
      class: incident.rule,
      custom_details: {
        summary: plain(summary),
        ...Object.fromEntries(facts.map(({ label, value }) => [label.toLowerCase(), plain(value)])),
        hosts: hosts.map(({ host, count, why }) => `${count} x ${host}${why === '' ? '' : ` (${why})`}`),
        commands: commands.map(({ purpose, line }) => `${purpose}: ${line}`),
      },
    },
  };
}
