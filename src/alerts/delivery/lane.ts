/** Which channel a lane leads to: an e-mail address by the first e-mail channel, a name to the channel of that name. */
import { readFileSync } from 'node:fs';
import { printable } from '../../names/display.ts';
import { type ChannelConfig, secretsOf } from '../../policy/alerts/channel.ts';
import { problemWith } from '../channels/command.ts';
import { noDesktop } from '../channels/desktop.ts';
import { readSecret } from '../channels/secret.ts';

/** By name, in the order of the policy. */
export type Channels = ReadonlyMap<string, ChannelConfig>;

export type Route =
  | { ok: true; channel: ChannelConfig; to: readonly string[] }
  /** What a person has to configure, in words. */
  | { ok: false; missing: string };

export function channelFor(lane: string, channels: Channels): Route {
  if (!lane.includes('@')) {
    const channel = channels.get(lane);
    if (channel === undefined) return { ok: false, missing: `no channel is named '${printable(lane)}'` };
    return { ok: true, channel, to: channel.type === 'email' ? channel.to : [] };
  }
  const channel = [...channels.values()].find(({ type }) => type === 'email');
  if (channel === undefined) return { ok: false, missing: 'no channel of type email is configured' };
  return { ok: true, channel, to: [lane] };
}

/** What the channel itself still needs, in words; null where it can be tried. */
export function missingIn(channel: ChannelConfig): string | null {
  for (const secret of secretsOf(channel)) {
    const read = readSecret(secret);
    if (!read.ok) return read.missing;
  }
  if (channel.type === 'command') return problemWith(channel.command[0]);
  if (channel.type === 'desktop') return noDesktop();
  return channel.ca === null || isReadable(channel.ca)
    ? null
    : `the certificates in ${channel.ca} cannot be read`;
}

function isReadable(file: string): boolean {
  try {
    readFileSync(file);
    return true;
  } catch {
    return false;
  }
}

/** What this lane still needs, in words; null where it can be tried. */
export function missingFor(lane: string, channels: Channels): string | null {
  const route = channelFor(lane, channels);
  if (!route.ok) return route.missing;
  if (route.channel.type === 'email' && route.to.length === 0)
    return `the channel ${route.channel.name} has nobody under 'to'`;
  const missing = missingIn(route.channel);
  return missing === null ? null : `channel ${route.channel.name}: ${missing}`;
}
