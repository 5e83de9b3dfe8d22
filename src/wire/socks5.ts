/**
 * What a SOCKS5 client sends before its tunnel begins (RFC 1928, RFC 1929), read strictly: lengths of at least one but
 * for a password's, a reserved octet of zero, no version but the ones these name.
 */
import { type Address, addressOf } from '../names/address.ts';
import type { Parsed } from './parsed.ts';

/** Methods of RFC 1928 section 3. */
export const NO_AUTHENTICATION = 0;
export const USER_AND_PASSWORD = 2;

/** Commands of RFC 1928 section 4. */
export const CONNECT = 1;

export interface SocksCredentials {
  /** One character an octet. */
  user: string;
  /** Perhaps empty. */
  password: string;
}

export interface SocksRequest {
  command: number;
  /** A name as sent, one character an octet, not yet judged as a host. Null: of a type that is none of RFC 1928. */
  host: string | Address | null;
  /** 0 is possible here. */
  port: number;
}

const VERSION = 5;
const SUBNEGOTIATION_VERSION = 1;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;
const RESERVED = 0;

const MORE = { state: 'more' } as const;
const malformed = (detail: string) => ({ state: 'malformed', detail }) as const;

/** The methods a client offers (RFC 1928 section 3). */
export function parseSocksGreeting(bytes: Uint8Array): Parsed<Uint8Array> {
  if (bytes.length < 1) return MORE;
  if (bytes[0] !== VERSION) return malformed('the version is not 5');
  if (bytes.length < 2) return MORE;
  const end = 2 + bytes[1]!;
  if (end === 2) return malformed('no method is offered');
  return bytes.length < end ? MORE : { state: 'value', value: bytes.slice(2, end), end };
}

/** User and password (RFC 1929 section 2): 1 to 255 octets, though clients without a password send an empty one. */
export function parseSocksCredentials(bytes: Uint8Array): Parsed<SocksCredentials> {
  if (bytes.length < 1) return MORE;
  if (bytes[0] !== SUBNEGOTIATION_VERSION) return malformed('the version of the credentials is not 1');
  if (bytes.length < 2) return MORE;
  const userEnd = 2 + bytes[1]!;
  if (userEnd === 2) return malformed('the user is empty');
  if (bytes.length < userEnd + 1) return MORE;
  const end = userEnd + 1 + bytes[userEnd]!;
  if (bytes.length < end) return MORE;
  const value = { user: text(bytes, 2, userEnd), password: text(bytes, userEnd + 1, end) };
  return { state: 'value', value, end };
}

/** What the client wants (RFC 1928 section 4). An address type that nobody knows has no known end either. */
export function parseSocksRequest(bytes: Uint8Array): Parsed<SocksRequest> {
  if (bytes.length < 1) return MORE;
  if (bytes[0] !== VERSION) return malformed('the version of the request is not 5');
  if (bytes.length < 3) return MORE;
  if (bytes[2] !== RESERVED) return malformed('the reserved octet is not zero');
  if (bytes.length < 4) return MORE;
  const command = bytes[1]!;
  const type = bytes[3]!;
  if (type !== IPV4 && type !== NAME && type !== IPV6)
    return { state: 'value', value: { command, host: null, port: 0 }, end: 4 };
  if (type === NAME && bytes.length < 5) return MORE;
  const start = type === NAME ? 5 : 4;
  const hostEnd = start + (type === IPV4 ? 4 : type === IPV6 ? 16 : bytes[4]!);
  if (hostEnd === start) return malformed('the name is empty');
  const end = hostEnd + 2;
  if (bytes.length < end) return MORE;
  const host = type === NAME ? text(bytes, start, hostEnd) : addressOf(bytes.subarray(start, hostEnd));
  const port = (bytes[hostEnd]! << 8) | bytes[hostEnd + 1]!;
  return { state: 'value', value: { command, host, port }, end };
}

function text(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}
