/**
 * The first message of a TLS server, as far as it says whether another plaintext ClientHello follows, which
 * may name another server than the first one did (RFC 8446 sections 4.1.3 and 4.1.4).
 */
import type { Parsed } from './parsed.ts';
import { CHANGE_CIPHER_SPEC, readHandshake } from './tlsrecord.ts';

export interface ServerHello {
  helloRetryRequest: boolean;
}

const ALERT = 21;

/** RFC 8446 section 4.1.3: the random of a HelloRetryRequest, SHA-256 of "HelloRetryRequest". */
const RETRY_RANDOM = Uint8Array.of(
  ...[0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91],
  ...[0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c],
);

/**
 * A server that says no with an alert will not ask again either. After a HelloRetryRequest a change of cipher
 * may come before the ServerHello (RFC 8446 section D.4) and is stepped over. `end` is where the record ends
 * that completes the message; a TLS 1.2 server may put more messages in it.
 */
export function parseServerHello(bytes: Uint8Array): Parsed<ServerHello> {
  if (bytes[0] === ALERT) return { state: 'value', value: { helloRetryRequest: false }, end: 0 };
  const message = readHandshake(bytes, { message: 2, before: [CHANGE_CIPHER_SPEC], othersInRecord: true });
  if (message.state !== 'value') return message;
  const body = message.value;
  if (body.length < 38) return { state: 'malformed', detail: 'the ServerHello ends too early' };
  const helloRetryRequest = RETRY_RANDOM.every((octet, i) => body[2 + i] === octet);
  return { state: 'value', value: { helloRetryRequest }, end: message.end };
}
