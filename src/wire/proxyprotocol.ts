/**
 * The PROXY protocol, version 2 (HAProxy's proxy-protocol.txt, section 2.2): what a balancer says about the
 * connection that it passes on. The text form, version 1, is not read.
 */
import { type Address, addressOf } from '../names/address.ts';
import type { Parsed } from './parsed.ts';

export interface ProxyHeader {
  /** Who connected to the balancer; null where it speaks for itself (LOCAL), or does not say. */
  source: { address: Address; port: number } | null;
}

const SIGNATURE = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10);
const FIXED = 16;
/** Of everything after the fixed part. The format has room for 65,535; balancers send a few hundred. */
const LONGEST = 4_096;
const LOCAL = 0x20;
const PROXY = 0x21;
/** Octets of addresses and ports, by family and transport. Nothing but streams comes in over TCP. */
const FORMS: ReadonlyMap<number, number> = new Map([
  [0x00, 0],
  [0x11, 12],
  [0x21, 36],
  [0x31, 216],
]);
const TCP_IPV4 = 0x11;
const TCP_IPV6 = 0x21;
const TYPE_CRC32C = 3;

const MORE = { state: 'more' } as const;
const malformed = (detail: string) => ({ state: 'malformed', detail }) as const;

export function parseProxyHeader(bytes: Uint8Array): Parsed<ProxyHeader> {
  for (let at = 0; at < SIGNATURE.length && at < bytes.length; at++) {
    if (bytes[at] !== SIGNATURE[at]) return malformed('the signature of version 2 is missing');
  }
  const command = bytes[12];
  if (command !== undefined && command !== LOCAL && command !== PROXY)
    return malformed('the version is not 2, or the command is unknown');
  if (bytes.length < FIXED) return MORE;
  const form = bytes[13]!;
  const length = (bytes[14]! << 8) | bytes[15]!;
  if (length > LONGEST) return malformed(`the header is longer than ${LONGEST} octets`);
  const addresses = FORMS.get(form);
  if (command === PROXY && addresses === undefined)
    return malformed('the family or the transport is none of a stream');
  if (command === PROXY && length < addresses!) return malformed('the addresses are cut off');
  const end = FIXED + length;
  if (bytes.length < end) return MORE;
  // What comes with LOCAL is to be thrown away, whatever it is.
  if (command === LOCAL) return { state: 'value', value: { source: null }, end };
  const problem = extensionProblem(bytes.subarray(0, end), FIXED + addresses!);
  if (problem !== null) return malformed(problem);
  return { state: 'value', value: { source: sourceIn(bytes, form) }, end };
}

function sourceIn(bytes: Uint8Array, form: number): ProxyHeader['source'] {
  if (form !== TCP_IPV4 && form !== TCP_IPV6) return null;
  const size = form === TCP_IPV4 ? 4 : 16;
  const port = FIXED + 2 * size;
  return {
    address: addressOf(bytes.subarray(FIXED, FIXED + size)),
    port: (bytes[port]! << 8) | bytes[port + 1]!,
  };
}

/** Type, length, value, one after the other until the end; a checksum among them must be right. */
function extensionProblem(header: Uint8Array, start: number): string | null {
  let checksum = -1;
  let at = start;
  while (at < header.length) {
    if (at + 3 > header.length) return 'an extension is cut off';
    const value = at + 3;
    const length = (header[at + 1]! << 8) | header[at + 2]!;
    if (value + length > header.length) return 'an extension is cut off';
    if (header[at] === TYPE_CRC32C) {
      if (length !== 4 || checksum !== -1) return 'the checksum is not one of 4 octets';
      checksum = value;
    }
    at = value + length;
  }
  if (checksum === -1) return null;
  const said = new DataView(header.buffer, header.byteOffset + checksum, 4).getUint32(0);
  return said === crc32c(header, checksum) ? null : 'the checksum is wrong';
}

/** CRC-32C (RFC 9260 appendix A), with the 4 octets from `blank` counted as zero. */
function crc32c(bytes: Uint8Array, blank: number): number {
  let crc = 0xffff_ffff;
  for (let at = 0; at < bytes.length; at++) {
    crc ^= at >= blank && at < blank + 4 ? 0 : bytes[at]!;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0);
  }
  return ~crc >>> 0;
}
