/**
 * How a webhook's message is signed, by the Standard Webhooks specification 1.0 ("Signature scheme"): HMAC-SHA256 over
 * `id.timestamp.body`, with a secret of 24 to 64 octets written in base64 behind `whsec_`.
 */
import { createHmac } from 'node:crypto';

const PREFIX = 'whsec_';
const SHORTEST = 24;
const LONGEST = 64;

export const NO_SIGNING_KEY = 'its secret is not 24 to 64 octets in base64, such as whsec_…';

/** Null where it is no such secret. */
export function signingKeyOf(secret: string): Buffer | null {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return null;
  const key = Buffer.from(text, 'base64');
  return key.length >= SHORTEST && key.length <= LONGEST ? key : null;
}

/** `time`: when it is sent, milliseconds. The receiver refuses what is too old, so it is made anew for every attempt. */
export function signatureHeaders(
  id: string,
  time: number,
  body: string,
  key: Buffer,
): Record<string, string> {
  const seconds = Math.floor(time / 1_000);
  const signature = createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': `${seconds}`, 'webhook-signature': `v1,${signature}` };
}
