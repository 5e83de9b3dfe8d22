/**
 * E-mail by SMTP: TLS from the first octet, or STARTTLS that is insisted on, unless the configuration says that there
 * is none. The Message-ID is made of the idempotency key, so a mailbox sees a second delivery for what it is.
 */
import { createHash } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import type { EmailChannel } from '../../policy/alerts/channel.ts';
import type { Message, Notification } from './message.ts';
import { htmlOf, subjectOf, textOf } from './page.ts';
import { excerptOf } from './secret.ts';
import { later, refused, type Sent, unconfigured } from './sent.ts';

/** Milliseconds for a connection and a greeting, and without a word from the server. */
const GREETING = 5_000;
const SILENCE = 8_000;

export interface Letter {
  notification: Notification;
  message: Message;
  to: readonly string[];
  password: string | null;
  /** PEM. */
  authorities: string | undefined;
  signal: AbortSignal;
}

export async function sendEmail(channel: EmailChannel, letter: Letter): Promise<Sent> {
  const { host, port, security, username, from } = channel;
  const { message, to, password, signal, notification, authorities } = letter;
  const secrets = password === null ? [] : [password];
  if (to.length === 0) return unconfigured('it names nobody to write to');
  const { createTransport } = await import('nodemailer');
  const transport = createTransport({
    host,
    port,
    secure: security === 'tls',
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    ...(username === null || password === null ? {} : { auth: { user: username, pass: password } }),
    tls: {
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      ...(authorities === undefined ? {} : { ca: [...rootCertificates, authorities] }),
    },
    // It names this machine to a server that need not know it.
    name: 'clawctl.invalid',
    connectionTimeout: GREETING,
    greetingTimeout: GREETING,
    socketTimeout: SILENCE,
    dnsTimeout: GREETING,
    // Nothing in a message is ever fetched or read from disk.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const aborted = new Promise<never>((_, reject) => {
    const stop = () => reject(Object.assign(new Error('aborted'), { code: 'ETIMEDOUT' }));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  const sending = transport.sendMail({
    from,
    to: [...to],
    subject: subjectOf(message),
    text: textOf(message),
    html: htmlOf(message),
    messageId: messageId(notification.key, from),
    inReplyTo: threadId(notification, from),
    references: threadId(notification, from),
    date: new Date(notification.time),
    headers: {
      'Auto-Submitted': 'auto-generated',
      'X-Clawctl-Alert': notification.incident.rule,
      'X-Clawctl-Incident': notification.incident.id,
      'X-Clawctl-Transition': notification.transition,
    },
  });
  sending.catch(() => undefined); // when it was aborted nobody waits for it
  try {
    const { rejected, response } = await Promise.race([sending, aborted]);
    if (rejected.length > 0)
      return refused(`the server took it, but not for ${rejected.length} of ${to.length}`);
    return { state: 'delivered', detail: excerptOf(String(response), secrets) };
  } catch (error) {
    return judged(error as SmtpError, secrets);
  } finally {
    transport.close();
  }
}

interface SmtpError extends Error {
  code?: string;
  responseCode?: number;
  response?: string;
}

/** RFC 5321 section 4.2.1: 4yz is worth another try, 5yz is not. */
function judged({ code = '', responseCode, response, message }: SmtpError, secrets: readonly string[]): Sent {
  const answer = `: ${excerptOf(response ?? message, secrets)}`;
  const detail = `SMTP ${code || 'failed'}${answer}`;
  if (code === 'EAUTH' && responseCode !== undefined && responseCode >= 500) return refused(detail);
  if (code === 'ETLS') return later(`${detail} (the server offers no TLS that can be trusted)`);
  if (responseCode === undefined || responseCode === 421) return later(detail);
  return responseCode >= 500 ? refused(detail) : later(detail, null, false);
}

function messageId(key: string, from: string): string {
  return `<${digest(key)}@${domainOf(from)}>`;
}

/** What all messages about one incident answer, so that mail programs keep them together. */
function threadId({ incident }: Notification, from: string): string {
  return `<${digest(`incident ${incident.id}`)}@${domainOf(from)}>`;
}

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 40);

const domainOf = (from: string) => /@([A-Za-z0-9.-]+)>?\s*$/.exec(from)?.[1] ?? 'clawctl.invalid';
