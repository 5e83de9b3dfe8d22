/** `clawctl egress alerts history`: what has fired, and who was told. */
import { systemClock } from '../../base/clock.ts';
import { iso, number, printJson, printTable, say, sayRaw, when } from '../output.ts';
import { filterOf, type SpanOptions, spanText } from '../timespan.ts';
import { ask, catchUpAll } from './desk.ts';
import { aboutText, deliveriesText, deliveryJson, hostsText, incidentJson, painted } from './items.ts';

const MOST = 1_000;
const MOST_DELIVERIES = 10_000;

export function history(options: SpanOptions & { json?: boolean }): void {
  const now = systemClock.now();
  const { since } = filterOf(options, now);
  catchUpAll(undefined);
  const items = ask([], (reading) => {
    const deliveries = Map.groupBy(
      reading.deliveries({ limit: MOST_DELIVERIES }),
      ({ notification }) => notification.incident.id,
    );
    return reading
      .incidents({ since, limit: MOST })
      .filter(({ agents }) => options.agent === undefined || agents.includes(options.agent))
      .map((incident) => ({ incident, deliveries: (deliveries.get(incident.id) ?? []).reverse() }));
  });
  if (options.json === true) {
    const shown = items.map(({ incident, deliveries }) => ({
      ...incidentJson(incident),
      deliveries: deliveries.map(deliveryJson),
    }));
    printJson('alerts-history', { since: iso(since), items: shown });
    return;
  }
  if (items.length === 0) {
    say(`no alert fired ${spanText(options)}.`);
    sayRaw('  Look further back with --last 7d, or see what there is with: clawctl egress alerts list\n');
    return;
  }
  printTable(
    ['incident', 'alert', 'severity', 'state', 'since', 'resolved', 'count', 'about', 'hosts', 'told'],
    items.map(({ incident, deliveries }) => [
      incident.id,
      incident.rule,
      incident.severity,
      painted(incident.state),
      when(incident.since, now),
      when(incident.resolvedAt, now),
      number(incident.count),
      aboutText(incident),
      hostsText(incident),
      [
        incident.acknowledged === null ? '' : `taken on by ${incident.acknowledged.by}`,
        deliveriesText(deliveries),
      ]
        .filter((part) => part !== '')
        .join('; '),
    ]),
  );
}
