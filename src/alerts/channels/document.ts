/**
 * An alert as JSON, for programs: the body of a webhook and the standard input of a command. Its schema is
 * docs/schemas/alert-v1.json; within a version fields are only added.
 */
import type { Incident } from '../incident.ts';
import { type Message, type Notification, plain } from './message.ts';
import { textOf } from './page.ts';

export const ALERT_SCHEMA = 'clawctl.egress.alert/v1';

export function alertDocument(notification: Notification, message: Message): object {
  const { key, transition, time, incident } = notification;
  return {
    schema: ALERT_SCHEMA,
    type: `alert.${transition}`,
    id: key,
    timestamp: iso(time),
    data: {
      ...incidentItem(incident),
      /** As for a person: names in it are defanged. */
      summary: plain(message.summary),
      text: textOf(message),
      commands: message.commands.map(({ purpose, line }) => ({ purpose, command: line })),
    },
  };
}

/** An incident as programs see it, in messages and by `alerts list --json`. Hosts are as they were asked for. */
export function incidentItem(incident: Incident): object {
  return {
    incident: incident.id,
    alert: incident.rule,
    severity: incident.severity,
    condition: incident.condition,
    fingerprint: incident.fingerprint,
    state: incident.state,
    test: incident.test,
    acknowledged:
      incident.acknowledged === null
        ? null
        : { time: iso(incident.acknowledged.time), by: incident.acknowledged.by },
    group: incident.group,
    groups: incident.groups,
    agents: incident.agents,
    hosts: incident.hosts,
    count: incident.count,
    value: incident.value,
    threshold: incident.threshold,
    finding: incident.finding,
    rule: incident.decidingRule,
    since: iso(incident.since),
    fired_at: incident.firedAt === null ? null : iso(incident.firedAt),
    resolved_at: incident.resolvedAt === null ? null : iso(incident.resolvedAt),
  };
}

const iso = (time: number) => new Date(time).toISOString();

/** JSON in ASCII, in which nothing is markup where somebody puts it into a page. */
export const safeJson = (value: object): string =>
  JSON.stringify(value).replace(
    /[<>&\x7f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
