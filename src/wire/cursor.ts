/** Reads big-endian fields from complete bytes. Past the end it yields null, and goes on yielding null. */
export interface Cursor {
  /** Octets not read yet. */
  left(): number;
  u8(): number | null;
  u16(): number | null;
  take(length: number): Uint8Array | null;
  /** A vector with a length prefix of one or two octets (RFC 8446 section 3.4). */
  vector(prefix: 1 | 2): Uint8Array | null;
}

export function createCursor(bytes: Uint8Array): Cursor {
  let at = 0;
  const take = (length: number) => {
    if (at + length > bytes.length) return null;
    at += length;
    return bytes.subarray(at - length, at);
  };
  const u8 = () => (at < bytes.length ? bytes[at++]! : null);
  const u16 = () => {
    if (at + 2 > bytes.length) return null;
    at += 2;
    return (bytes[at - 2]! << 8) | bytes[at - 1]!;
  };
  return {
    left: () => bytes.length - at,
    u8,
    u16,
    take,
    vector: (prefix) => {
      const length = prefix === 1 ? u8() : u16();
      return length === null ? null : take(length);
    },
  };
}
