/** An IP address. `text` is canonical (dotted quad, or RFC 5952), so equal addresses have equal texts. */
export interface Address {
  family: 4 | 6;
  text: string;
  /** Network order: 4 or 16 octets. */
  bytes: Uint8Array;
}
