/** `clawctl egress alerts test`: a message that is marked as a test, to whom an alert would tell, at once and once. */
import { testIncident } from '../../alerts/acts.ts';
import { send } from '../../alerts/channels/send.ts';
import type { Sent } from '../../alerts/channels/sent.ts';
import { channelFor, missingFor } from '../../alerts/delivery/lane.ts';
import { keyOf } from '../../alerts/delivery/outbox.ts';
import { systemClock } from '../../base/clock.ts';
import { EXIT, Failure } from '../../base/failure.ts';
import { channelsOf, type Policy } from '../../policy/policy.ts';
import { green, printJson, printTable, red, yellow } from '../output.ts';
import { alertNamed, pick, policyOf } from './desk.ts';

interface Options {
  channel?: string;
  policy?: string;
  json?: boolean;
}

export async function test(name: string | undefined, options: Options): Promise<number> {
  const policy = policyOf(options.policy);
  const { rule, lanes } = chosen(policy, name, options.channel);
  const time = systemClock.now();
  const incident = testIncident(rule, lanes, time);
  const items = await Promise.all(
    lanes.map(async (to) => {
      const { state, detail } = await attempt(policy, to, {
        key: keyOf(incident.id, 'firing', to),
        transition: 'firing',
        ...{ time, incident },
      });
      return { to, state: state === 'delivered' || state === 'unconfigured' ? state : 'failed', detail };
    }),
  );
  if (options.json === true) printJson('alerts-test', { alert: rule.name, items });
  else
    printTable(
      ['to', 'state', 'detail'],
      items.map(({ to, state, detail }) => [
        to,
        { text: state, paint: state === 'delivered' ? green : state === 'failed' ? red : yellow },
        detail,
      ]),
    );
  return items.every(({ state }) => state === 'delivered') ? EXIT.done : EXIT.failed;
}

async function attempt(
  policy: Policy,
  lane: string,
  notification: Parameters<typeof send>[0]['notification'],
): Promise<Sent> {
  const channels = channelsOf(policy);
  const missing = missingFor(lane, channels);
  if (missing !== null) return { state: 'unconfigured', detail: missing };
  const route = channelFor(lane, channels);
  if (!route.ok) return { state: 'unconfigured', detail: route.missing };
  return send({ ...route, notification });
}

function chosen(policy: Policy, name: string | undefined, channel: string | undefined) {
  if (name === undefined && channel === undefined)
    throw new Failure('usage', 'What is to be tested?', 'Give the name of an alert, or --channel NAME.');
  const rule =
    name === undefined
      ? ({ name: 'test', severity: 'info', text: 'a test of a channel', notify: [] } as const)
      : alertNamed(policy, name);
  if (channel !== undefined) {
    const channels = [...channelsOf(policy).keys()];
    if (!channel.includes('@')) pick('channel', channel, channels);
    return { rule, lanes: [channel] };
  }
  if (rule.notify.length === 0)
    throw new Failure(
      'not-found',
      `The alert '${rule.name}' has no notify.`,
      'Give it one, or use --channel NAME.',
    );
  return { rule, lanes: [...rule.notify] };
}
