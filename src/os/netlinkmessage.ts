/**
 * Netlink messages as octets (netlink(7)): a header, a body, attributes. Numbers are in the machine's order, which
 * is little endian wherever this runs; netfilter's own are big endian. What is sent is put together as text, because
 * the start of every fence waits for it, and joining many short strings costs a fifth of joining as many buffers.
 */

/** One character (U+0000 to U+00FF) for an octet. */
export type Octets = string;

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

export const octets = (...values: number[]): Octets => String.fromCharCode(...values);
const machine16 = (value: number) => octets(value & 0xff, (value >> 8) & 0xff);
/** A 32-bit number in the machine's order. */
export const machine32 = (value: number): Octets => machine16(value) + machine16(value >>> 16);
const network16 = (value: number) => octets((value >> 8) & 0xff, value & 0xff);

const PADDING = ['', '\0', '\0\0', '\0\0\0'] as const;

export function attribute(type: number, value: Octets): Octets {
  return machine16(4 + value.length) + machine16(type) + value + PADDING[-value.length & 3];
}

export function nested(type: number, ...attributes: Octets[]): Octets {
  return attribute(type | NLA_F_NESTED, attributes.join(''));
}

/** A string attribute, NUL-terminated. */
export function text(type: number, value: string): Octets {
  return attribute(type, `${value}\0`);
}

/** A 32-bit number, big endian as netfilter wants it. */
export function number32(type: number, value: number): Octets {
  return attribute(type, network16(value >>> 16) + network16(value));
}

/** A 16-bit number, big endian as netfilter wants it. */
export function number16(type: number, value: number): Octets {
  return attribute(type, network16(value));
}

export interface Request {
  type: number;
  flags: number;
  body: Octets;
}

/** `sequence` comes back in the answer. */
export function encodeRequest({ type, flags, body }: Request, sequence: number): Octets {
  const SENDER = 0; // the kernel fills it in
  return (
    machine32(HEADER + body.length) +
    machine16(type) +
    machine16(flags) +
    machine32(sequence) +
    machine32(SENDER) +
    body
  );
}

/** What the kernel refused is named by whoever asked. */
export interface NamedRequest extends Request {
  name: string;
}

/** Requests that are sent at once, numbered from 1. */
export interface Datagram {
  text: Octets;
  names: string[];
  /** The numbers of those that are acknowledged (NLM_F_ACK). */
  acknowledged: number[];
}

export function encodeRequests(requests: readonly NamedRequest[]): Datagram {
  return {
    text: requests.map((request, index) => encodeRequest(request, index + 1)).join(''),
    names: requests.map(({ name }) => name),
    acknowledged: requests.flatMap(({ flags }, index) => ((flags & NLM_F_ACK) === 0 ? [] : [index + 1])),
  };
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
