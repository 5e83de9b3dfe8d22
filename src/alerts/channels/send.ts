/** One attempt to deliver one notification by one channel, whatever its kind. Never throws. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { ChannelConfig, Secret } from '../../policy/alerts/channel.ts';
import { runCommand } from './command.ts';
import { showOnDesktop } from './desktop.ts';
import { alertDocument, safeJson } from './document.ts';
import { sendEmail } from './email.ts';
import { type Message, messageOf, type Notification } from './message.ts';
import { pagerDutyBody } from './pagerduty.ts';
import { post } from './post.ts';
import { readSecret, withoutSecrets } from './secret.ts';
import { later, type Sent, unconfigured } from './sent.ts';
import { NO_SIGNING_KEY, signatureHeaders, signingKeyOf } from './signature.ts';
import { slackBody } from './slack.ts';

/** Milliseconds for one attempt. */
export const ATTEMPT = 12_000;

export interface Attempt {
  channel: ChannelConfig;
  /** E-mail addresses, for an e-mail channel. */
  to: readonly string[];
  notification: Notification;
  signal?: AbortSignal;
}

export async function send({ channel, to, notification, signal }: Attempt): Promise<Sent> {
  const limit = AbortSignal.timeout(ATTEMPT);
  const secrets = new Secrets();
  try {
    const message = messageOf(notification);
    const sent = await sendBy(channel, {
      to,
      notification,
      message,
      secrets,
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
    return { ...sent, detail: withoutSecrets(sent.detail, secrets.values) };
  } catch (error) {
    if (error instanceof Missing) return unconfigured(error.message);
    return later(
      withoutSecrets(`failed: ${(error as Error).message}`, secrets.values).slice(0, 200),
      null,
      false,
    );
  }
}

class Missing extends Error {}

/** What was read for one attempt, so that it can be kept out of every record. */
class Secrets {
  readonly values: string[] = [];
  take(secret: Secret): string {
    const read = readSecret(secret);
    if (!read.ok) throw new Missing(read.missing);
    this.values.push(read.value);
    return read.value;
  }
}

interface Job {
  to: readonly string[];
  notification: Notification;
  message: Message;
  secrets: Secrets;
  signal: AbortSignal;
}

function sendBy(channel: ChannelConfig, job: Job): Promise<Sent> {
  const { to, notification, message, secrets, signal } = job;
  switch (channel.type) {
    case 'email': {
      const password = channel.password === null ? null : secrets.take(channel.password);
      const authorities = authoritiesOf(channel.ca);
      return sendEmail(channel, { notification, message, to, password, authorities, signal });
    }
    case 'slack':
      return postJson(channel, secrets.take(channel.url), slackBody(notification, message), {}, job);
    case 'pagerduty': {
      const body = pagerDutyBody(notification, message, secrets.take(channel.key), hostname());
      return postJson(channel, channel.url, body, {}, job);
    }
    case 'webhook': {
      const url = typeof channel.url === 'string' ? channel.url : secrets.take(channel.url);
      const key = signingKeyOf(secrets.take(channel.secret));
      if (key === null) throw new Missing(NO_SIGNING_KEY);
      const body = alertDocument(notification, message);
      const headers = signatureHeaders(notification.key, Date.now(), safeJson(body), key);
      return postJson(channel, url, body, headers, job);
    }
    case 'command':
      return runCommand({
        command: channel.command,
        input: `${safeJson(alertDocument(notification, message))}\n`,
        signal,
      });
    case 'desktop':
      return showOnDesktop(message, notification.incident.severity, signal);
  }
}

function postJson(
  { addresses, ca }: { addresses: readonly string[]; ca: string | null },
  url: string,
  body: object,
  headers: Record<string, string>,
  { secrets, signal }: Job,
): Promise<Sent> {
  return post({
    url,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: safeJson(body),
    addresses,
    authorities: authoritiesOf(ca),
    secrets: secrets.values,
    signal,
  });
}

function authoritiesOf(file: string | null): string | undefined {
  if (file === null) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Missing(
      `the certificates in ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}
