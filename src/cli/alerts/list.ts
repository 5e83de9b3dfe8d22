/** `clawctl egress alerts list`: every alert, whether it fires, and whom it tells. */

import { missingFor } from '../../alerts/delivery/lane.ts';
import type { Silence } from '../../alerts/engine/mutes.ts';
import type { Incident } from '../../alerts/incident.ts';
import { systemClock } from '../../base/clock.ts';
import type { AlertRule } from '../../policy/alerts/alertrule.ts';
import { alertsOf, channelsOf } from '../../policy/policy.ts';
import { iso, number, printJson, printTable, sayRaw, when, yellow } from '../output.ts';
import { ask, catchUpAll, policyOf } from './desk.ts';
import { aboutText, incidentJson, painted, type State } from './items.ts';

export function list(options: { policy?: string; json?: boolean }): void {
  const now = systemClock.now();
  const policy = policyOf(options.policy);
  const channels = channelsOf(policy);
  catchUpAll(options.policy);
  const nothing = { open: [] as Incident[], silences: [] as Silence[] };
  const { open, silences } = ask(nothing, (reading) => ({
    open: reading.incidents({ open: true }),
    silences: reading.silences(now),
  }));
  const items = alertsOf(policy).map((alert) => {
    const incidents = open.filter(({ rule, test }) => rule === alert.name && !test);
    return {
      alert,
      incidents,
      state: stateOf(incidents),
      silencedUntil: silencedUntil(alert, silences),
      missing: alert.notify.map((lane) => ({ lane, missing: missingFor(lane, channels) })),
    };
  });
  if (options.json === true) {
    const shown = items.map(({ alert, incidents, state, silencedUntil, missing }) => ({
      name: alert.name,
      severity: alert.severity,
      condition: alert.text,
      notify: missing.map(({ lane, missing }) => ({ to: lane, missing })),
      cooldown_seconds: alert.cooldown / 1_000,
      for_seconds: alert.for / 1_000,
      source: alert.source,
      state,
      silenced_until: silencedUntil === null ? null : iso(silencedUntil),
      incidents: incidents.map(incidentJson),
    }));
    const quiet = silences.map(({ since, until, ...rest }) => ({
      ...rest,
      since: iso(since),
      until: iso(until),
    }));
    printJson('alerts', { items: shown, silences: quiet });
    return;
  }
  const rows = items.map(({ alert, incidents, state, silencedUntil, missing }) => [
    alert.name,
    alert.severity,
    painted(state),
    when(incidents[0]?.since ?? null, now),
    incidents.length === 0 ? '' : number(incidents.reduce((sum, { count }) => sum + count, 0)),
    [...new Set(incidents.map(aboutText))].slice(0, 3).join('; '),
    alert.notify.join(', '),
    alert.text,
    {
      text: [
        silencedUntil === null ? '' : `silenced until ${iso(silencedUntil)}`,
        ...incidents.filter(({ acknowledged }) => acknowledged !== null).map(({ id }) => `${id} taken on`),
        ...missing.flatMap(({ missing }) => missing ?? []),
      ]
        .filter((note) => note !== '')
        .join('; '),
      paint: yellow,
    },
  ]);
  printTable(['alert', 'severity', 'state', 'since', 'count', 'about', 'tells', 'condition', 'note'], rows);
  const firing = items.flatMap(({ incidents }) => incidents).find(({ state }) => state === 'firing');
  if (firing !== undefined)
    sayRaw(
      `\nTo see more:    clawctl egress alerts history\nTo take one on: clawctl egress alerts ack ${firing.id}\n`,
    );
  else if (items.every(({ alert }) => alert.notify.length === 0))
    sayRaw('\nNone of them tells anybody. In the policy, give one a notify: and configure a channel.\n');
}

function stateOf(incidents: readonly Incident[]): State {
  if (incidents.some(({ state }) => state === 'firing')) return 'firing';
  return incidents.length > 0 ? 'pending' : 'ok';
}

/** By a silence of the alert as a whole; those of one agent are listed beside. */
function silencedUntil({ name }: AlertRule, silences: readonly Silence[]): number | null {
  const these = silences.filter(({ rule, agent }) => agent === null && (rule === null || rule === name));
  return these.length === 0 ? null : Math.max(...these.map(({ until }) => until));
}
