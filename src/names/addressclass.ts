/**
 * What kind of network an address leads to, by the IANA special-purpose registries (RFC 6890), with the
 * metadata services of the clouds named one by one because several of them lie in ordinary public space.
 *
 * Decisions: documentation ranges are `public`: they lead nowhere, and test networks use them. An address that
 * embeds an IPv4 address has that one's class where it is not public. With a public one inside, NAT64 by the
 * well-known prefix is `public` (networks with IPv6 alone reach IPv4 that way) and ISATAP is what its own
 * prefix is; mapped, translated, compatible, local NAT64, 6to4 and Teredo are `reserved`: no resolver has reason to
 * answer with them, and they would be a second spelling of an address that a rule denies.
 */
import { type Address, parseAddress } from './address.ts';
import { type Embedded, embeddedIn } from './embedded.ts';
import { parseRange, type Range, rangeContains } from './range.ts';

export type AddressClass =
  | 'public'
  | 'loopback'
  | 'unspecified'
  | 'private'
  | 'shared'
  | 'link-local'
  | 'unique-local'
  | 'multicast'
  | 'broadcast'
  | 'metadata'
  | 'benchmark'
  | 'reserved';

const METADATA = new Set([
  '169.254.169.254', // AWS, Google, Azure, Oracle, DigitalOcean, Hetzner, OpenStack and others
  '169.254.170.2', // AWS: credentials of containers
  '169.254.170.23', // AWS: credentials of pods
  '169.254.0.23', // Tencent
  '169.254.42.42', // Scaleway
  '168.63.129.16', // Azure WireServer
  '192.0.0.192', // Oracle, classic
  '100.100.100.200', // Alibaba
  'fd00:ec2::254', // AWS
  'fd00:ec2::23', // AWS: credentials of pods
  'fd20:ce::254', // Google
  'fd00:c1::a9fe:a9fe', // Oracle
  'fd00:42::42', // Scaleway
  'fe80::a9fe:a9fe', // OpenStack
]);

/** The first range that holds the address decides. */
const RANGES = [
  ['0.0.0.0/8', 'unspecified'], // Linux connects 0.0.0.0 to this machine
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'reserved'],
  ['192.88.99.0/24', 'reserved'], // 6to4 relays, RFC 7526
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'benchmark'],
  ['224.0.0.0/4', 'multicast'],
  ['255.255.255.255', 'broadcast'],
  ['240.0.0.0/4', 'reserved'],
  ['0.0.0.0/0', 'public'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['64:ff9b::/96', 'public'],
  ['2001:2::/48', 'benchmark'],
  ['2001:db8::/32', 'public'],
  ['2001::/23', 'reserved'], // IETF protocol assignments
  ['2000::/3', 'public'],
  ['fc00::/7', 'unique-local'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'private'], // site-local, RFC 3879
  ['ff00::/8', 'multicast'],
  ['::/0', 'reserved'],
] as const satisfies ReadonlyArray<readonly [string, AddressClass]>;
/** Parsed at the first use: reading names must not wait for it. */
let ranges: ReadonlyArray<{ range: Range; addressClass: AddressClass }> | undefined;
function knownRanges() {
  ranges ??= RANGES.map(([text, addressClass]) => ({ range: parseRange(text)!, addressClass }));
  return ranges;
}

const NEVER_DIALLED: ReadonlySet<Embedded['form']> = new Set([
  'mapped',
  'translated',
  'compatible',
  'nat64-local',
  '6to4',
  'teredo',
]);

/** `an unspecified address`, `a private address`. */
export function classPhrase(addressClass: AddressClass): string {
  return `${addressClass === 'unspecified' ? 'an' : 'a'} ${addressClass} address`;
}

/** The first metadata service that lies in the range, or null. */
export function metadataIn(range: Range): Address | null {
  const addresses = [...METADATA].map((text) => parseAddress(text)!);
  return addresses.find((address) => rangeContains(range, address)) ?? null;
}

/** The class of all of the range; null where it has addresses of several. Single metadata services aside. */
export function classOfRange(range: Range): AddressClass | null {
  if (range.bits === range.first.bytes.length * 8) return classOf(range.first);
  const classes = new Set<AddressClass>();
  for (const { range: known, addressClass } of knownRanges()) {
    const isWithin = known.bits <= range.bits && rangeContains(known, range.first);
    if (isWithin || rangeContains(range, known.first)) classes.add(addressClass);
    if (isWithin) break;
  }
  return classes.size === 1 ? [...classes][0]! : null;
}

export function classOf(address: Address): AddressClass {
  if (METADATA.has(address.text)) return 'metadata';
  const embedded = embeddedIn(address);
  if (embedded !== null) {
    const inner = embedded.addresses.map(classOf).find((addressClass) => addressClass !== 'public');
    if (inner !== undefined) return inner;
    if (NEVER_DIALLED.has(embedded.form)) return 'reserved';
  }
  return knownRanges().find(({ range }) => rangeContains(range, address))!.addressClass;
}
