/**
 * Where an alert's messages go, as configured. Secrets are only named here (a variable of the environment or a
 * file); whoever delivers reads them, when they are needed.
 */

export type Secret = { env: string } | { file: string };

interface Common {
  name: string;
}

export interface EmailChannel extends Common {
  type: 'email';
  host: string;
  port: number;
  /** `tls` from the first octet, `starttls` required before anything else, or `none`. */
  security: 'tls' | 'starttls' | 'none';
  /** Null: no authentication. Given together with `password`. */
  username: string | null;
  password: Secret | null;
  /** Absolute path of certificates (PEM) to trust besides the well-known ones, for servers of a company's own. Key `ca`. */
  ca: string | null;
  from: string;
  /** Who gets mail where `notify` names the channel itself. Addresses in `notify` get theirs by the first e-mail channel. */
  to: readonly string[];
}

interface Web extends Common {
  /** Ranges, in CIDR notation, of addresses that are not public and that the URL may lead to all the same. */
  addresses: readonly string[];
  /** As for e-mail. */
  ca: string | null;
}

/** An incoming webhook; its URL is the secret. */
export interface SlackChannel extends Web {
  type: 'slack';
  url: Secret;
}

export interface PagerDutyChannel extends Web {
  type: 'pagerduty';
  /** The integration key of a service (Events API v2). */
  key: Secret;
  url: string;
}

export interface WebhookChannel extends Web {
  type: 'webhook';
  url: string | Secret;
  /** What messages are signed with, as the Standard Webhooks say. */
  secret: Secret;
}

export interface CommandChannel extends Common {
  type: 'command';
  /** An absolute path, then its arguments. No shell. */
  command: readonly [string, ...string[]];
}

export interface DesktopChannel extends Common {
  type: 'desktop';
}

export type ChannelConfig =
  | EmailChannel
  | SlackChannel
  | PagerDutyChannel
  | WebhookChannel
  | CommandChannel
  | DesktopChannel;

/** Every secret that a channel needs. */
export function secretsOf(channel: ChannelConfig): readonly Secret[] {
  switch (channel.type) {
    case 'email':
      return channel.password === null ? [] : [channel.password];
    case 'slack':
      return [channel.url];
    case 'pagerduty':
      return [channel.key];
    case 'webhook':
      return typeof channel.url === 'string' ? [channel.secret] : [channel.url, channel.secret];
    default:
      return [];
  }
}
