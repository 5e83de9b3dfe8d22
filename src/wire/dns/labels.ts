/** Domain names in DNS messages (RFC 1035 sections 3.1 and 4.1.4). */

/** Octets of a whole name on the wire, length octets and root included (RFC 1035 section 2.3.4). */
const NAME_MAX = 255;
const LABEL_MAX = 63;
const POINTER = 0xc0;
/** More than a name has labels can only be meant to keep us busy. */
const POINTERS_MAX = 127;
const HOST_LABEL = /^[A-Za-z0-9_-]+$/;

export interface ReadName {
  /** As sent, labels joined by dots, without the root's; octets that host names do not use as `\065`. */
  name: string;
  /** Where the name ends in the message. */
  end: number;
}

/**
 * Null where it is malformed. Compression pointers must point before the name's own beginning and each before
 * the one that led there, so that no loop can be written. `compressed: false` refuses them altogether.
 */
export function readName(bytes: Uint8Array, start: number, options = { compressed: true }): ReadName | null {
  const labels: string[] = [];
  let end = -1;
  let at = start;
  let earliest = start;
  let pointers = 0;
  let size = 1;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return null;
    if (length === 0) return { name: labels.join('.'), end: end === -1 ? at + 1 : end };
    if (length >= POINTER) {
      const low = bytes[at + 1];
      if (low === undefined || !options.compressed) return null;
      if (end === -1) end = at + 2;
      at = ((length & 0x3f) << 8) | low;
      if (at >= earliest || ++pointers > POINTERS_MAX) return null;
      earliest = at;
      continue;
    }
    if (length > LABEL_MAX) return null;
    size += length + 1;
    if (size > NAME_MAX || at + 1 + length > bytes.length) return null;
    labels.push(labelText(bytes.subarray(at + 1, at + 1 + length)));
    at += length + 1;
  }
}

function labelText(octets: Uint8Array): string {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('latin1');
  if (HOST_LABEL.test(text)) return text;
  return Array.from(octets, (octet, i) =>
    HOST_LABEL.test(text[i]!) ? text[i] : `\\${String(octet).padStart(3, '0')}`,
  ).join('');
}

/** `name` is canonical text: labels of 1 to 63 ASCII characters joined by dots, or empty for the root. */
export function writeName(name: string): Uint8Array {
  const labels = name === '' ? [] : name.split('.').map((label) => Buffer.from(label, 'latin1'));
  return Buffer.concat([...labels.flatMap((label) => [Buffer.of(label.length), label]), Buffer.of(0)]);
}
