/** Hosts and addresses, beside WHATWG URLs, ipaddr.js and the resolver's own inet_aton forms. */
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { parseAddress } from '../../src/names/address.ts';
import { hostText, parseHost } from '../../src/names/host.ts';
import { same, type Target, target } from './target.ts';

const piece = fc.constantFrom(
  ...[
    'a',
    'Z',
    '0',
    '1',
    '9',
    '255',
    '256',
    '0x',
    '0177',
    '.',
    '..',
    '-',
    '_',
    ':',
    '::',
    '[',
    ']',
    '%',
    '%25',
    '%2e',
    'xn--',
  ],
  ...[
    'ffff',
    'test',
    'localhost',
    'evil',
    'é',
    '。',
    '\u00ad',
    '①',
    '\0',
    ' ',
    '/',
    '\\',
    '@',
    '#',
    '?',
    '*',
    ',',
    ';',
    '\r\n',
  ],
);
const built = fc.array(piece, { maxLength: 9 }).map((parts) => parts.join(''));
const numbers = fc
  .array(
    fc.oneof(
      fc.nat(300).map(String),
      fc.nat(300).map((n) => `0x${n.toString(16)}`),
      fc.nat(300).map((n) => `0${n.toString(8)}`),
    ),
    {
      minLength: 1,
      maxLength: 5,
    },
  )
  .map((parts) => parts.join('.'));
const texts = fc.oneof(
  built,
  numbers,
  fc.string({ maxLength: 20 }),
  fc.domain(),
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4Extended(),
);

/** What a URL makes of it; null where it is none. */
function urlHost(text: string): string | null {
  try {
    return new URL(`http://${text}/`).hostname;
  } catch {
    return null;
  }
}

export const HOSTS: readonly Target[] = [
  target('hosts, beside URLs', texts, (text) => {
    const host = parseHost(text);
    if (host === null) return false;
    const canonical = hostText(host);
    // What we accept must mean the same to whoever reads it once more, ourselves included.
    same('the canonical host', parseHost(canonical), host);
    const bracketed = host.kind === 'address' && host.address.family === 6 ? `[${canonical}]` : canonical;
    const seen = urlHost(bracketed);
    if (host.kind === 'address')
      same('the address', seen === null ? null : parseAddress(seen.replace(/[[\]]/g, ''))?.text, canonical);
    else if (seen !== null) same('the name', seen.replace(/\.$/, ''), canonical);
    return true;
  }),
  target('addresses, beside ipaddr.js', texts, (text) => {
    const address = parseAddress(text);
    // It takes ::a.b.c.d for a mapped address (RFC 4291 section 2.5.5.1 says compatible).
    if (address === null || /^::\d+\./.test(text)) return false;
    same('validity', ipaddr.isValid(text), true);
    same('the octets', [...address.bytes], ipaddr.parse(text).toByteArray());
    return true;
  }),
];
