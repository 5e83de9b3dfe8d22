/** The names under which addresses are looked up backwards (RFC 1035 section 3.5, RFC 3596 section 2.5). */
import { type Address, addressOf, parseAddress } from '../names/address.ts';

const V4_ZONE = '.in-addr.arpa';
const V6_ZONE = '.ip6.arpa';

/** The address that a lower-case reverse name is about; null for every other name. */
export function addressOfReverseName(name: string): Address | null {
  if (name.endsWith(V4_ZONE)) {
    const octets = name.slice(0, -V4_ZONE.length).split('.');
    return octets.length === 4 ? parseAddress(octets.reverse().join('.')) : null;
  }
  if (!name.endsWith(V6_ZONE)) return null;
  const digits = name.slice(0, -V6_ZONE.length).split('.').reverse();
  if (digits.length !== 32 || !digits.every((digit) => /^[0-9a-f]$/.test(digit))) return null;
  return addressOf(Uint8Array.from(Buffer.from(digits.join(''), 'hex')));
}
