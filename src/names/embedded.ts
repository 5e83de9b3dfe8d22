/** The IPv6 addresses that stand for an IPv4 address: dialling one may end at the other. */
import { type Address, addressOf } from './address.ts';
import { parseRange, type Range, rangeContains } from './range.ts';

export interface Embedded {
  form: 'mapped' | 'translated' | 'compatible' | 'nat64' | 'nat64-local' | '6to4' | 'teredo' | 'isatap';
  /** Every IPv4 address that the form may lead to; never empty. */
  addresses: Address[];
}

const FORMS = [
  ['::ffff:0.0.0.0/96', 'mapped'], // RFC 4291 section 2.5.5.2
  ['::ffff:0:0:0/96', 'translated'], // RFC 2765 section 2.1
  ['::/96', 'compatible'], // RFC 4291 section 2.5.5.1, deprecated
  ['64:ff9b::/96', 'nat64'], // RFC 6052 section 2.1
  ['64:ff9b:1::/48', 'nat64-local'], // RFC 8215; read in the /96 layout, other layouts are refused as reserved
  ['2002::/16', '6to4'], // RFC 3056 section 2
  ['2001::/32', 'teredo'], // RFC 4380 section 4
] as const;
/** Parsed at the first use: reading names must not wait for it. */
let forms: ReadonlyArray<{ range: Range; form: (typeof FORMS)[number][1] }> | undefined;

/** Null for IPv4 addresses, for `::` and `::1`, and for addresses that embed none. */
export function embeddedIn(address: Address): Embedded | null {
  if (address.family === 4 || address.text === '::' || address.text === '::1') return null;
  const { bytes } = address;
  const at = (...octets: number[]) => addressOf(Uint8Array.from(octets, (octet) => bytes[octet]!));
  const last = () => at(12, 13, 14, 15);
  forms ??= FORMS.map(([text, form]) => ({ range: parseRange(text)!, form }));
  const form = forms.find(({ range }) => rangeContains(range, address))?.form;
  switch (form) {
    case undefined: {
      // RFC 5214 section 6.1: 0000:5efe or 0200:5efe before the IPv4 address, under any prefix.
      const isatap = (bytes[8]! & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;
      return isatap ? { form: 'isatap', addresses: [last()] } : null;
    }
    case '6to4':
      return { form, addresses: [at(2, 3, 4, 5)] };
    case 'teredo':
      // The server, and the client with its bits inverted.
      return { form, addresses: [at(4, 5, 6, 7), addressOf(last().bytes.map((octet) => octet ^ 0xff))] };
    default:
      return { form, addresses: [last()] };
  }
}
