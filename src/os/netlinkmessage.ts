/**
 * Netlink messages as bytes (netlink(7)): a header, a body, attributes. Numbers are in the machine's order, which
 * is little endian wherever this runs; netfilter's own are big endian.
 */

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;

const NLMSG_ERROR = 2;
const NLMSGERR_ATTR_MSG = 1;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const HEADER = 16;

const align4 = (length: number) => (length + 3) & ~3;

export function attribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align4(4 + value.length));
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, 4);
  return bytes;
}

export function nested(type: number, ...attributes: Buffer[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(attributes));
}

/** A string attribute, NUL-terminated. */
export function text(type: number, value: string): Buffer {
  return attribute(type, Buffer.from(`${value}\0`, 'latin1'));
}

/** A 32-bit number, big endian as netfilter wants it. */
export function number32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return attribute(type, bytes);
}

/** A 16-bit number, big endian as netfilter wants it. */
export function number16(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return attribute(type, bytes);
}

export interface Request {
  type: number;
  flags: number;
  body: Buffer;
}

/** `sequence` comes back in the answer. */
export function encodeRequest(request: Request, sequence: number): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(HEADER + request.body.length, 0);
  header.writeUInt16LE(request.type, 4);
  header.writeUInt16LE(request.flags, 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([header, request.body]);
}

export interface Answer {
  type: number;
  sequence: number;
  /** Of an acknowledgement: 0, or the number of the error. Null for any other message. */
  errno: number | null;
  /** What the kernel says of the error, often ''. */
  explanation: string;
  body: Buffer;
}

/** The messages of one datagram. What is cut short is left out: no answer is never taken for a good one. */
export function decodeAnswers(datagram: Buffer): Answer[] {
  const answers: Answer[] = [];
  for (let at = 0; at + HEADER <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < HEADER || at + length > datagram.length) break;
    const type = datagram.readUInt16LE(at + 4);
    const flags = datagram.readUInt16LE(at + 6);
    const sequence = datagram.readUInt32LE(at + 8);
    const body = datagram.subarray(at + HEADER, at + length);
    const isAcknowledgement = type === NLMSG_ERROR && body.length >= 4;
    answers.push({
      type,
      sequence,
      errno: isAcknowledgement ? Math.abs(body.readInt32LE(0)) : null,
      explanation: isAcknowledgement ? explanationIn(body, flags) : '',
      body,
    });
    at += align4(length);
  }
  return answers;
}

/** An error carries our own header again (all of our message unless capped), then attributes if so flagged. */
function explanationIn(body: Buffer, flags: number): string {
  if ((flags & NLM_F_ACK_TLVS) === 0 || body.length < 4 + HEADER) return '';
  const echoed = (flags & NLM_F_CAPPED) === 0 ? body.readUInt32LE(4) : HEADER;
  const found = attributesOf(body.subarray(4 + align4(echoed))).get(NLMSGERR_ATTR_MSG);
  return found === undefined ? '' : found.toString('latin1').replace(/\0.*$/s, '');
}

/** Attributes by type; of two with the same type the last. */
export function attributesOf(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    found.set(bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, bytes.subarray(at + 4, at + length));
    at += align4(length);
  }
  return found;
}
