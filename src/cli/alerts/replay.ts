/** `clawctl egress alerts replay`: what would have fired, before an alert is turned on. */
import { replay as replayRecords } from '../../alerts/replay.ts';
import { systemClock } from '../../base/clock.ts';
import { pathsOf } from '../../base/paths.ts';
import { alertsOf } from '../../policy/policy.ts';
import { iso, number, printJson, printTable, say, sayRaw, when } from '../output.ts';
import { filterOf, type SpanOptions, spanText } from '../timespan.ts';
import { alertNamed, ask, policyOf } from './desk.ts';
import { aboutText, hostsText, incidentJson, painted } from './items.ts';

export function replay(
  name: string | undefined,
  options: SpanOptions & { policy?: string; json?: boolean },
): void {
  const now = systemClock.now();
  const policy = policyOf(options.policy);
  const rules = name === undefined ? alertsOf(policy) : [alertNamed(policy, name)];
  const { since } = filterOf(options, now);
  const { incidents, rows, oldest } = replayRecords({
    ...{ store: pathsOf().store, rules, policy, since, until: now },
    // Where nobody ever evaluated, nobody is known to have watched.
    missed: ask([{ since: 0, until: now }], (reading) => reading.missed(now)),
  });
  if (options.json === true) {
    const items = incidents.map(incidentJson);
    printJson('alerts-replay', {
      since: iso(since),
      oldest: oldest === null ? null : iso(oldest),
      events: rows,
      items,
    });
    return;
  }
  if (oldest !== null && oldest > since) say(`what is recorded begins ${when(oldest, now)}.`);
  if (incidents.length === 0) {
    say(`nothing would have fired ${spanText(options)}, in ${number(rows).text} events.`);
    return;
  }
  printTable(
    ['alert', 'severity', 'state', 'fired', 'resolved', 'count', 'about', 'hosts', 'message'],
    incidents.map((incident) => [
      incident.rule,
      incident.severity,
      painted(incident.state),
      when(incident.firedAt, now),
      when(incident.resolvedAt, now),
      number(incident.count),
      aboutText(incident),
      hostsText(incident),
      messageText(incident.notify, incident.told),
    ]),
  );
  const told = incidents.filter((incident) => incident.told && incident.notify.length > 0).length;
  sayRaw(
    `\n${number(incidents.length).text} would have fired, and ${told === 0 ? 'none' : number(told).text} would have sent a message.\n`,
  );
}

const messageText = (notify: readonly string[], told: boolean): string => {
  if (notify.length === 0) return 'tells nobody';
  return told ? `to ${notify.join(', ')}` : 'none, in the cool-down';
};
