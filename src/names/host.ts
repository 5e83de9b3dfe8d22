/**
 * A host as asked for: a DNS name or a literal address. Never both, never anything else.
 *
 * `parseHost` reads text from the wire and from rules alike, so that both sides of a comparison went through one
 * door. It refuses what it would have to repair: percent codes, Unicode, brackets around names, zones, and every
 * number that some resolver takes for an address (inet_aton(3): `0x7f.1`, `2130706433`, `127.1`). Only letter case
 * and a single trailing dot are normalised.
 */
import { unicodeOf } from './acelabel.ts';
import { type Address, addressOf, parseAddress } from './address.ts';
import { classOf } from './addressclass.ts';
import { LOCAL_DOMAINS, PRIVATE_SUFFIXES } from './specialnames.ts';

export type Host =
  /** Lower-case ASCII, no trailing dot, 1 to 253 octets, labels of letters, digits, hyphen, underscore. */
  { kind: 'name'; name: string } | { kind: 'address'; address: Address };

const LONGEST_NAME = 253;
const LONGEST_LABEL = 63;

const REFUSED = 0;
const LETTER = 1;
const UPPER = 2;
const DIGIT = 3;
const HYPHEN = 4;
const DOT = 5;
const IPV6 = 6;

/** What each ASCII character is to a host; anything else is refused. */
const KINDS = new Uint8Array(128);
for (const [kind, characters] of [
  [LETTER, 'abcdefghijklmnopqrstuvwxyz_'],
  [UPPER, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'],
  [DIGIT, '0123456789'],
  [HYPHEN, '-'],
  [DOT, '.'],
  [IPV6, ':['],
] as const)
  for (let i = 0; i < characters.length; i++) KINDS[characters.charCodeAt(i)] = kind;

/** Null for everything that is not plainly a host. */
export function parseHost(text: string): Host | null {
  // One pass over the characters: this runs several times for every connection.
  const length = text.length;
  if (length === 0 || length > LONGEST_NAME + 1) return null;
  let labelStart = 0;
  let previous = DOT;
  let upper = false;
  let ace = false;
  let digits = true;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    const kind = code < 128 ? KINDS[code]! : REFUSED;
    switch (kind) {
      case DIGIT:
        break;
      case UPPER:
        upper = true;
        digits = false;
        break;
      case LETTER:
        digits = false;
        break;
      case HYPHEN:
        if (previous === DOT) return null;
        digits = false;
        if (i === labelStart + 3 && previous === HYPHEN && startsWithXn(text, labelStart)) ace = true;
        break;
      case DOT:
        if (previous === DOT || previous === HYPHEN || i - labelStart > LONGEST_LABEL) return null;
        if (i === length - 1) break;
        labelStart = i + 1;
        digits = true;
        break;
      case IPV6:
        return parseIpv6(text);
      default:
        return null;
    }
    previous = kind;
  }
  if (previous === HYPHEN) return null;
  const dotted = previous === DOT;
  const end = dotted ? length - 1 : length;
  if (end > LONGEST_NAME || end - labelStart > LONGEST_LABEL) return null;
  if (digits) {
    const address = dotted ? null : parseAddress(text);
    return address === null ? null : { kind: 'address', address };
  }
  if (startsWithRadix(text, labelStart)) return null;
  const bare = dotted ? text.slice(0, end) : text;
  const name = upper ? bare.toLowerCase() : bare;
  if (ace && !validAceLabels(name)) return null;
  return { kind: 'name', name };
}

/** A last label that somebody takes for a number, behind labels that are none of ours to judge. */
const NUMBER = /^(?:[0-9a-z-]+\.)*(?:[0-9]+|0[xob][0-9a-f]*)\.?$/i;

/** Whether text that is not a host is so because it is an address in a spelling that `parseHost` does not take. */
export function spellsAddress(text: string): boolean {
  return text.length <= LONGEST_NAME && NUMBER.test(text) && parseHost(text) === null;
}

/** For people and records. Addresses are not bracketed. */
export function hostText(host: Host): string {
  return host.kind === 'name' ? host.name : host.address.text;
}

/** `host:port` as in RFC 3986 section 3.2: IPv6 addresses are bracketed. */
export function authority(host: Host, port: number): string {
  const text = hostText(host);
  return host.kind === 'address' && host.address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}

/** The names of this machine itself (RFC 6761 section 6.3). `name` is canonical. */
export const isLocalhost = (name: string): boolean => name === 'localhost' || name.endsWith('.localhost');

/**
 * Names that lead, or may be made to lead, to this machine or its network: local names, names without a dot,
 * metadata services, and names that spell an address which is not public. `*` never stands for them. `name` is canonical.
 */
export function isSpecialName(name: string): boolean {
  let start = name.lastIndexOf('.') + 1;
  if (start === 0 || PRIVATE_SUFFIXES.has(name.slice(start))) return true;
  while (start > 0) {
    start = name.lastIndexOf('.', start - 2) + 1;
    if (LOCAL_DOMAINS.has(name.slice(start))) return true;
  }
  return spellsPrivateAddress(name);
}

/** `127.0.0.1.example.com`, `app.10-0-0-5.example.com`. */
function spellsPrivateAddress(name: string): boolean {
  const spelled = /(?<!\d)(?=(\d{1,3})[.-](\d{1,3})[.-](\d{1,3})[.-](\d{1,3})(?!\d))/g;
  for (const [, ...octets] of name.matchAll(spelled)) {
    const numbers = octets.map(Number);
    if (numbers.every((number) => number < 256) && classOf(addressOf(Uint8Array.from(numbers))) !== 'public')
      return true;
  }
  return false;
}

function parseIpv6(text: string): Host | null {
  const bracketed = text.charCodeAt(0) === 0x5b;
  if (bracketed && !text.endsWith(']')) return null;
  const address = parseAddress(bracketed ? text.slice(1, -1) : text);
  return address === null || address.family === 4 ? null : { kind: 'address', address };
}

function startsWithXn(text: string, i: number): boolean {
  return (text.charCodeAt(i) | 0x20) === 0x78 && (text.charCodeAt(i + 1) | 0x20) === 0x6e;
}

/** A last label such as `0x7f`, `0o177` or `0b1` is a number to somebody; no top-level name looks like that. */
function startsWithRadix(text: string, i: number): boolean {
  if (text.charCodeAt(i) !== 0x30) return false;
  const radix = text.charCodeAt(i + 1) | 0x20;
  return radix === 0x78 || radix === 0x6f || radix === 0x62;
}

function validAceLabels(name: string): boolean {
  return name.split('.').every((label) => !label.startsWith('xn--') || unicodeOf(label) !== null);
}
