/**
 * The first handshake message of one side, put together from TLS records (RFC 8446 section 5.1).
 *
 * Nothing is copied before the message is complete, and at most RECORDS_MAX record headers are walked a call,
 * so a peer that sends one byte at a time costs a bounded number of steps a byte.
 */
import type { Parsed } from './parsed.ts';

interface Wanted {
  /** The handshake type: 1 ClientHello, 2 ServerHello. */
  message: 1 | 2;
  /** Record types to step over before the message begins. */
  before: readonly number[];
  /** Whether the record in which the message ends may go on with another message. */
  othersInRecord: boolean;
}

export const CHANGE_CIPHER_SPEC = 20;
const HANDSHAKE = 22;
export const APPLICATION_DATA = 23;

const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
/** RFC 8446 sections 5.1 and 5.2: a plaintext record holds at most 2^14 octets, an encrypted one 256 more. */
const PLAINTEXT_MAX = 16_384;
const CIPHERTEXT_MAX = PLAINTEXT_MAX + 256;
/** Real hellos take a few hundred octets, a few thousand with post-quantum keys and padding. */
const MESSAGE_MAX = 65_536;
/** The longest message takes five full records; the rest is room for clients that split on purpose. */
const RECORDS_MAX = 64;

const MORE = { state: 'more' } as const;
const malformed = (detail: string) => ({ state: 'malformed', detail }) as const;

/** The message without its four-octet header. `end` is where the record ends that completes it. */
export function readHandshake(bytes: Uint8Array, wanted: Wanted): Parsed<Uint8Array> {
  const header = new Uint8Array(MESSAGE_HEADER);
  /** Octets of the message that lie in the records before the current one. */
  let before = 0;
  let firstRecord = 0;
  let at = 0;
  for (let record = 0; record < RECORDS_MAX; record++) {
    const type = bytes[at];
    if (type === undefined) return MORE;
    const skipped = before === 0 && wanted.before.includes(type);
    if (type !== HANDSHAKE && !skipped) return malformed('the record is not a handshake record');
    // The legacy version says nothing (RFC 8446 section 5.1), but 3.x is what every TLS speaks.
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) return malformed('the record version is not TLS');
    if (at + 2 < bytes.length && bytes[at + 2]! > 4) return malformed('the record version is not TLS');
    if (at + RECORD_HEADER > bytes.length) return MORE;
    const length = (bytes[at + 3]! << 8) | bytes[at + 4]!;
    if (length === 0) return malformed('a record is empty');
    if (length > (type === APPLICATION_DATA ? CIPHERTEXT_MAX : PLAINTEXT_MAX))
      return malformed('a record is longer than TLS allows');
    const start = at + RECORD_HEADER;
    const end = start + length;
    const seen = Math.min(end, bytes.length) - start;
    if (skipped) {
      if (type === CHANGE_CIPHER_SPEC && (length !== 1 || (seen === 1 && bytes[start] !== 1)))
        return malformed('the change of cipher is not the single octet 1');
      if (seen < length) return MORE;
      firstRecord = end;
    } else {
      for (let i = before; i < MESSAGE_HEADER && i < before + seen; i++)
        header[i] = bytes[start + i - before]!;
      if (before + seen > 0 && header[0] !== wanted.message)
        return malformed('the handshake message is of another type');
      if (before + seen >= MESSAGE_HEADER) {
        const body = (header[1]! << 16) | (header[2]! << 8) | header[3]!;
        if (body > MESSAGE_MAX) return malformed('the handshake message is too long');
        const whole = MESSAGE_HEADER + body;
        if (before + length > whole && !wanted.othersInRecord)
          return malformed('the record goes on after the handshake message');
        if (before + length >= whole && seen === length)
          return { state: 'value', value: gather(bytes, firstRecord, whole), end };
      }
      if (seen < length) return MORE;
      before += length;
    }
    at = end;
  }
  return malformed('too many records before the handshake message ends');
}

/** The body of a message of `whole` octets whose first record header stands at `at`. */
function gather(bytes: Uint8Array, at: number, whole: number): Uint8Array {
  const message = new Uint8Array(whole);
  let filled = 0;
  while (filled < whole) {
    const length = (bytes[at + 3]! << 8) | bytes[at + 4]!;
    const part = bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + Math.min(length, whole - filled));
    message.set(part, filled);
    filled += part.length;
    at += RECORD_HEADER + length;
  }
  return message.subarray(MESSAGE_HEADER);
}
