/** `clawctl egress alerts deliver`: delivers what waits, now, and shows what does not go through. */
import { existsSync } from 'node:fs';
import { hurry, revive } from '../../alerts/acts.ts';
import { missingFor } from '../../alerts/delivery/lane.ts';
import type { KeptDelivery } from '../../alerts/reading.ts';
import { systemClock } from '../../base/clock.ts';
import { EXIT } from '../../base/failure.ts';
import { pathsOf } from '../../base/paths.ts';
import { channelsOf } from '../../policy/policy.ts';
import { number, onTerminal, printJson, printTable, red, say, sayRaw, when, yellow } from '../output.ts';
import { ask, catchUpAll, openDesk, personName } from './desk.ts';
import { deliveryJson } from './items.ts';

/** Milliseconds: an attempt at everything, and for many of them. */
const PATIENCE = 30_000;
const MOST = 1_000;
const MOST_ROWS = 50;

interface Options {
  retry?: boolean;
  channel?: string;
  policy?: string;
  json?: boolean;
}

export async function deliver(options: Options): Promise<number> {
  const lane = options.channel ?? null;
  const left = await tryAll(options, lane);
  const rest = ask<KeptDelivery[]>([], (reading) => [
    ...reading.deliveries({ state: 'waiting', limit: MOST }),
    ...reading.deliveries({ state: 'dead', limit: MOST }),
  ]).filter((each) => lane === null || each.lane === lane);
  const items = rest.map((each) => ({ ...each, detail: left.missing(each) ?? each.detail }));
  if (options.json === true) {
    printJson('alerts-deliver', { delivered: left.delivered, items: items.map(deliveryJson) });
    return items.length === 0 ? EXIT.done : EXIT.failed;
  }
  say(
    left.delivered > 0 || items.length > 0
      ? `${number(left.delivered).text} delivered.`
      : 'nothing waits to be delivered.',
  );
  if (items.length === 0) return EXIT.done;
  const now = systemClock.now();
  const rows = items.map(({ lane, state, attempts, due, detail, notification }) => [
    notification.incident.rule,
    notification.transition,
    notification.incident.id,
    lane,
    { text: state, paint: state === 'dead' ? red : yellow },
    number(attempts),
    state === 'waiting' ? when(Math.max(due, now), now) : '',
    detail ?? '',
  ]);
  printTable(
    ['alert', 'what', 'incident', 'to', 'state', 'attempts', 'next', 'why'],
    onTerminal ? rows.slice(0, MOST_ROWS) : rows,
  );
  if (items.some(({ state }) => state === 'dead'))
    sayRaw('\nTo try the dead ones again: clawctl egress alerts deliver --retry\n');
  return EXIT.failed;
}

/** Nothing is made where there never was an alert. */
async function tryAll(options: Options, lane: string | null) {
  catchUpAll(options.policy);
  if (!existsSync(pathsOf().alerts)) return { delivered: 0, missing: () => null };
  const desk = openDesk(options.policy);
  let delivered = 0;
  try {
    const now = systemClock.now();
    hurry(desk.db, lane, now);
    if (options.retry === true) revive(desk.db, desk.source, lane, personName(), now);
    await desk.deliver(PATIENCE, lane, (_, { state }) => {
      if (state === 'delivered') delivered++;
    });
    const missing = ({ lane, source }: KeptDelivery) =>
      source === null || source === desk.source
        ? missingFor(lane, channelsOf(desk.policy))
        : `it is for the channels of another policy; see: clawctl egress alerts deliver --policy ${source}`;
    return { delivered, missing };
  } finally {
    desk.close();
  }
}
