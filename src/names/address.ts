/**
 * IP addresses as text and as octets. Text is read strictly: an IPv4 address is four decimal numbers without
 * leading zeros (RFC 6943 section 3.1.1 tells what the looser forms lead to), an IPv6 address is any form of
 * RFC 4291 section 2.2 without a zone. Everything is written back in one form, so texts compare as addresses.
 */

/** An IP address. `text` is canonical (dotted quad, or RFC 5952), so equal addresses have equal texts. */
export interface Address {
  family: 4 | 6;
  text: string;
  /** Network order: 4 or 16 octets. */
  bytes: Uint8Array;
}

const DOT = 0x2e;
const COLON = 0x3a;

/** An address without brackets, zone or prefix length; null for anything else. */
export function parseAddress(text: string): Address | null {
  const bytes = text.includes(':') ? parseGroups(text) : parseQuad(text, 0);
  return bytes === null ? null : addressOf(bytes);
}

/** `bytes`: 4 or 16 octets in network order; they are copied. */
export function addressOf(bytes: Uint8Array): Address {
  const copy = Uint8Array.from(bytes);
  return copy.length === 4
    ? { family: 4, text: copy.join('.'), bytes: copy }
    : { family: 6, text: groupsText(copy), bytes: copy };
}

/** Four octets from `start` to the end of `text`. */
function parseQuad(text: string, start: number): Uint8Array | null {
  if (text.length - start > 15) return null;
  const bytes = new Uint8Array(4);
  let part = 0;
  let value = -1;
  for (let i = start; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : DOT;
    if (code === DOT) {
      if (value < 0 || part === 4) return null;
      bytes[part++] = value;
      value = -1;
    } else {
      const digit = code - 0x30;
      if (digit < 0 || digit > 9 || value === 0) return null;
      value = value < 0 ? digit : value * 10 + digit;
      if (value > 255) return null;
    }
  }
  return part === 4 ? bytes : null;
}

/** RFC 4291 section 2.2: groups of hexadecimal digits, at most one `::`, perhaps a dotted quad at the end. */
function parseGroups(text: string): Uint8Array | null {
  if (text.length < 2 || text.length > 45) return null;
  const bytes = new Uint8Array(16);
  let at = 0;
  let gap = -1;
  let i = 0;
  if (text.startsWith('::')) {
    gap = 0;
    i = 2;
  }
  while (i < text.length) {
    if (at === 16) return null;
    const start = i;
    let value = 0;
    for (let digit = hexDigit(text, i); digit >= 0; digit = hexDigit(text, ++i)) value = value * 16 + digit;
    if (i < text.length && text.charCodeAt(i) === DOT) {
      const quad = at <= 12 ? parseQuad(text, start) : null;
      if (quad === null) return null;
      bytes.set(quad, at);
      at += 4;
      break;
    }
    if (i === start || i - start > 4) return null;
    bytes[at++] = value >> 8;
    bytes[at++] = value & 0xff;
    if (i === text.length) break;
    if (text.charCodeAt(i++) !== COLON || i === text.length) return null;
    if (text.charCodeAt(i) === COLON) {
      if (gap >= 0) return null;
      gap = at;
      i++;
    }
  }
  if (gap < 0) return at === 16 ? bytes : null;
  if (at > 14) return null;
  bytes.copyWithin(16 - (at - gap), gap, at);
  return bytes.fill(0, gap, 16 - (at - gap));
}

function hexDigit(text: string, i: number): number {
  if (i >= text.length) return -1;
  const code = text.charCodeAt(i);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** RFC 5952 section 4; section 5 for IPv4-mapped addresses, which keep their dotted quad. */
function groupsText(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0))
    return `::ffff:${bytes.slice(12).join('.')}`;
  let longest = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > longest.length) longest = { start, length };
  }
  const text = groups.map((group) => group.toString(16));
  if (longest.length === 1) return text.join(':');
  const before = text.slice(0, longest.start).join(':');
  return `${before}::${text.slice(longest.start + longest.length).join(':')}`;
}

/** Of this machine itself (RFC 6890, RFC 4291 section 2.5.3). */
export const LOOPBACK: Readonly<Record<4 | 6, Address>> = {
  4: parseAddress('127.0.0.1')!,
  6: parseAddress('::1')!,
};
