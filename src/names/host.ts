/** A host as asked for: a DNS name or a literal address. Never both, never anything else. */
import type { Address } from './address.ts';

export type Host =
  /** Lower-case ASCII, no trailing dot, 1 to 253 octets, labels of letters, digits, hyphen, underscore. */
  { kind: 'name'; name: string } | { kind: 'address'; address: Address };
