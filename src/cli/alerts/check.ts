/** `clawctl egress alerts check`: reads the alerts of a policy, says them in words, and what they still need. */
import { exposedIn, missingFor } from '../../alerts/delivery/lane.ts';
import { formatDuration } from '../../base/duration.ts';
import { EXIT } from '../../base/failure.ts';
import { describeCondition } from '../../policy/alerts/describe.ts';
import { missingChannels } from '../../policy/alerts/missing.ts';
import { printCondition } from '../../policy/alerts/print.ts';
import { alertsOf, channelsOf } from '../../policy/policy.ts';
import { bold, print, printableLines, printJson, say, sayRaw, yellow } from '../output.ts';
import { policyOf } from './desk.ts';

export function check(file: string | undefined, options: { json?: boolean }): number {
  const policy = policyOf(file);
  const channels = channelsOf(policy);
  const fixes = new Map(missingChannels(policy).map(({ recipient, fix }) => [recipient, fix]));
  const alerts = alertsOf(policy);
  const lanes = [...new Set(alerts.flatMap(({ notify }) => notify))];
  const missing = lanes.flatMap((lane) => {
    const what = missingFor(lane, channels);
    return what === null ? [] : [{ to: lane, missing: what, fix: fixes.get(lane) ?? null }];
  });
  const exposed = [...channels.values()].flatMap((channel) =>
    exposedIn(channel).map((file) => ({ channel: channel.name, file })),
  );
  if (options.json === true) {
    const items = alerts.map(({ name, severity, condition, notify, cooldown, source, ...rest }) => ({
      ...{ name, severity, notify, source },
      condition: printCondition(condition),
      words: describeCondition(condition),
      cooldown_seconds: cooldown / 1_000,
      for_seconds: rest.for / 1_000,
    }));
    printJson('alerts-check', { items, missing, exposed });
  } else {
    for (const { name, severity, condition, notify, cooldown, ...rest } of alerts) {
      const wait = rest.for === 0 ? '' : `, once that has lasted for ${formatDuration(rest.for)}`;
      const whom =
        notify.length === 0 ? 'It tells nobody and is only shown.' : `It tells ${notify.join(', ')}`;
      const pause =
        notify.length === 0 ? '' : `, then nothing of the same kind for ${formatDuration(cooldown)}.`;
      print(bold(`${name} (${severity})`));
      print(printableLines(`  ${printCondition(condition)}`));
      print(printableLines(`  Fires when ${describeCondition(condition)}${wait}. ${whom}${pause}`));
    }
    for (const { to, missing: what, fix } of missing) {
      say(yellow(`nothing can be delivered to ${to} yet: ${what}`));
      if (fix !== null) sayRaw(`  ${printableLines(fix)}\n`);
    }
    for (const { channel, file } of exposed)
      say(yellow(`everybody on this machine can read ${file}, a secret of channel ${channel}`));
  }
  return missing.length === 0 ? EXIT.done : EXIT.failed;
}
