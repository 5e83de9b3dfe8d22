/** Incidents and deliveries as these commands print them. */
import { incidentItem } from '../../alerts/channels/document.ts';
import type { Incident } from '../../alerts/incident.ts';
import type { KeptDelivery } from '../../alerts/reading.ts';
import { displayName, printable } from '../../names/display.ts';
import { green, iso, red, yellow } from '../output.ts';

/** As in a webhook, and besides whom it tells and whether it did. */
export const incidentJson = (incident: Incident): object => ({
  ...incidentItem(incident),
  notify: incident.notify,
  told: incident.told,
});

export const deliveryJson = ({
  key,
  lane,
  state,
  attempts,
  due,
  ended,
  detail,
  notification,
}: KeptDelivery) => ({
  key,
  to: lane,
  state,
  attempts,
  next: state === 'waiting' ? iso(due) : null,
  ended: ended === null ? null : iso(ended),
  detail,
  transition: notification.transition,
  time: iso(notification.time),
  incident: notification.incident.id,
  alert: notification.incident.rule,
});

export type State = 'ok' | 'pending' | 'firing' | 'resolved';

export const painted = (state: State) => ({
  text: state,
  paint: state === 'firing' ? red : state === 'pending' ? yellow : green,
});

/** `support-bot`, `evil.test`; nothing for an incident about everything. */
export function aboutText({ group, agents, groups }: Incident): string {
  if (groups !== null) return `${groups} together`;
  const parts = Object.entries(group).map(([kind, name]) => (kind === 'agent' ? name : displayName(name)));
  if (parts.length > 0) return parts.join(', ');
  return agents.length > 3 ? `${agents.slice(0, 3).join(', ')}, …` : agents.join(', ');
}

export const hostsText = ({ hosts }: Incident): string =>
  hosts.map(({ host, count }) => `${count} × ${displayName(host)}`).join(', ');

/** `delivered to oncall, waiting for a@b.test: no channel of type email is configured`. */
export function deliveriesText(deliveries: readonly KeptDelivery[]): string {
  return deliveries
    .map(({ lane, state, notification: { transition }, detail }) => {
      const what = transition === 'firing' ? '' : `${transition} `;
      if (state === 'delivered') return `${what}delivered to ${lane}`;
      const why = detail === null ? '' : `: ${printable(detail)}`;
      return state === 'dead' ? `${what}not delivered to ${lane}${why}` : `${what}waiting for ${lane}${why}`;
    })
    .join('; ');
}
