/** Ranges of addresses in CIDR notation (RFC 4632, RFC 4291 section 2.3). An address alone is a range of one. */
import { type Address, addressOf, parseAddress } from './address.ts';

export interface Range {
  /** The first address; every bit beyond `bits` is zero. */
  first: Address;
  /** Length of the prefix: 0 to 32 or 0 to 128. */
  bits: number;
}

/** Null for anything else, also where the address has bits beyond the prefix: `10.0.0.1/8` is a slip, not a range. */
export function parseRange(text: string): Range | null {
  const slash = text.indexOf('/');
  const first = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (first === null) return null;
  const whole = first.bytes.length * 8;
  if (slash < 0) return { first, bits: whole };
  const digits = text.slice(slash + 1);
  const bits = Number(digits);
  if (String(bits) !== digits || !Number.isInteger(bits) || bits < 0 || bits > whole) return null;
  const rest = first.bytes.some((octet, i) => (octet & ~maskOf(bits, i) & 0xff) !== 0);
  return rest ? null : { first, bits };
}

export function rangeContains(range: Range, address: Address): boolean {
  if (range.first.family !== address.family) return false;
  const octets = Math.ceil(range.bits / 8);
  for (let i = 0; i < octets; i++)
    if (((range.first.bytes[i]! ^ address.bytes[i]!) & maskOf(range.bits, i)) !== 0) return false;
  return true;
}

/** `203.0.113.7` for one address, else `203.0.113.0/24`. */
export function rangeText(range: Range): string {
  return range.bits === range.first.bytes.length * 8 ? range.first.text : `${range.first.text}/${range.bits}`;
}

const MAPPED = parseRange('::ffff:0.0.0.0/96')!;

/** The IPv4 range that a range of IPv4-mapped addresses (RFC 4291 section 2.5.5.2) stands for; null for any other. */
export function mappedRange(range: Range): Range | null {
  if (range.bits < MAPPED.bits || !rangeContains(MAPPED, range.first)) return null;
  return { first: addressOf(range.first.bytes.slice(12)), bits: range.bits - MAPPED.bits };
}

/** Which bits of octet `i` belong to a prefix of `bits` bits. */
function maskOf(bits: number, i: number): number {
  const left = Math.min(8, Math.max(0, bits - 8 * i));
  return (0xff00 >> left) & 0xff;
}
