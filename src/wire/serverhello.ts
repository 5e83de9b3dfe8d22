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
/** Record header, level, description. */
const ALERT_RECORD = 7;
const WARNING = 1;
/** A server has one thing to warn of before it answers: a name that it does not know (RFC 6066 section 3). */
const WARNINGS_MAX = 4;

/** RFC 8446 section 4.1.3: the random of a HelloRetryRequest, SHA-256 of "HelloRetryRequest". */
const RETRY_RANDOM = Uint8Array.of(
  ...[0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91],
  ...[0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c],
);

/**
 * A server that says no with a fatal alert will not ask again either. A warning says nothing about what follows,
 * and after a HelloRetryRequest a change of cipher may come before the ServerHello (RFC 8446 section D.4): both
 * are stepped over. `end` is where the record ends that completes the message; a TLS 1.2 server may put more
 * messages in it.
 */
export function parseServerHello(bytes: Uint8Array): Parsed<ServerHello> {
  let start = 0;
  while (bytes[start] === ALERT) {
    if (bytes.length < start + ALERT_RECORD) return { state: 'more' };
    if (bytes[start + 3] !== 0 || bytes[start + 4] !== 2 || start === WARNINGS_MAX * ALERT_RECORD)
      return { state: 'malformed', detail: 'the alerts before the ServerHello make no sense' };
    start += ALERT_RECORD;
    if (bytes[start - 2] !== WARNING)
      return { state: 'value', value: { helloRetryRequest: false }, end: start };
  }
  const message = readHandshake(bytes.subarray(start), {
    message: 2,
    before: [CHANGE_CIPHER_SPEC],
    othersInRecord: true,
  });
  if (message.state !== 'value') return message;
  const body = message.value;
  if (body.length < 38) return { state: 'malformed', detail: 'the ServerHello ends too early' };
  const helloRetryRequest = RETRY_RANDOM.every((octet, i) => body[2 + i] === octet);
  return { state: 'value', value: { helloRetryRequest }, end: start + message.end };
}
