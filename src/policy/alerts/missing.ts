/** What alerts want to tell somebody by, and nobody has configured. Such alerts fire, and their messages wait. */
import { alertsOf, channelsOf, type Policy } from '../policy.ts';
import { didYouMean } from '../problem.ts';

export interface MissingChannel {
  /** As it stands in `notify`: an e-mail address or the name of a channel. */
  recipient: string;
  /** The alerts that name it. */
  alerts: readonly string[];
  fix: string;
}

/** In the order in which alerts name them. Whether secrets are there is not asked: that is known when they are read. */
export function missingChannels(policy: Policy): MissingChannel[] {
  const channels = channelsOf(policy);
  const hasMail = [...channels.values()].some(({ type }) => type === 'email');
  const missing = new Map<string, string[]>();
  for (const { name, notify } of alertsOf(policy))
    for (const recipient of notify) {
      if (recipient.includes('@') ? hasMail : channels.has(recipient)) continue;
      const alerts = missing.get(recipient) ?? [];
      missing.set(recipient, [...alerts, name]);
    }
  return [...missing].map(([recipient, alerts]) => ({
    recipient,
    alerts,
    fix: fixFor(recipient, [...channels.keys()]),
  }));
}

function fixFor(recipient: string, names: readonly string[]): string {
  if (recipient.includes('@'))
    return 'Add under channels: a channel such as mail: { type: email, server: smtp.example.com, from: clawctl@example.com }';
  const meant = names.length === 0 ? '' : didYouMean(recipient, names);
  if (meant.startsWith('Did')) return meant;
  return `Add under channels: ${recipient}: { type: … } with the type pagerduty, slack, webhook, email, command or desktop.`;
}
