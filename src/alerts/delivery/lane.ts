/** Which channel a lane leads to: an e-mail address by the first e-mail channel, a name to the channel of that name. */
import { readFileSync, statSync } from 'node:fs';
import { printable } from '../../names/display.ts';
import { type ChannelConfig, type Secret, secretsOf } from '../../policy/alerts/channel.ts';
import { channelUrlProblem } from '../../policy/alerts/channelurl.ts';
import { problemWith } from '../channels/command.ts';
import { noDesktop } from '../channels/desktop.ts';
import { readSecret } from '../channels/secret.ts';
import { NO_SIGNING_KEY, signingKeyOf } from '../channels/signature.ts';

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
  const unusable = unusableSecret(channel);
  if (unusable !== null) return unusable;
  return channel.ca === null || isReadable(channel.ca)
    ? null
    : `the certificates in ${channel.ca} cannot be read`;
}

/** Of the secrets that have a form, without any part of them. */
function unusableSecret(channel: ChannelConfig): string | null {
  if (channel.type === 'webhook' && signingKeyOf(textOf(channel.secret)) === null) return NO_SIGNING_KEY;
  if (channel.type !== 'webhook' && channel.type !== 'slack') return null;
  const url = typeof channel.url === 'string' ? channel.url : textOf(channel.url);
  const problem = channelUrlProblem(url, channel.addresses);
  return problem === null ? null : `its URL cannot be used: ${problem}`;
}

/** Read a moment ago; where it is gone by now, the attempt says so. */
function textOf(secret: Secret): string {
  const read = readSecret(secret);
  return read.ok ? read.value : '';
}

function isReadable(file: string): boolean {
  try {
    readFileSync(file);
    return true;
  } catch {
    return false;
  }
}

/** Files with its secrets that everybody on this machine can read. */
export function exposedIn(channel: ChannelConfig): string[] {
  return secretsOf(channel).flatMap((secret) =>
    'file' in secret && isForAll(secret.file) ? [secret.file] : [],
  );
}

function isForAll(file: string): boolean {
  return ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o004) !== 0;
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
