/**
 * DNS as a server speaks it (RFC 1035 section 4, RFC 6891): one question in, one answer out. A datagram or a
 * length-prefixed message comes whole, so there is no `more` here.
 */
import type { Address } from '../../names/address.ts';
import { readName, writeName } from './labels.ts';
import { CLASS_IN, RCODE, TYPE } from './type.ts';

export interface Question {
  id: number;
  /** Lower case, without the last dot; empty for the root. */
  name: string;
  type: number;
  class: number;
  recursionDesired: boolean;
  /** Null where the client did not send an OPT record. */
  edns: { udpSize: number; version: number } | null;
  /** The question section as sent, letter case included, to be sent back as it is. */
  section: Uint8Array;
}

export type ParsedQuestion =
  | { state: 'value'; value: Question }
  /** `reply`: an error to send back, or null where nothing may be answered (RFC 1035 leaves no id to answer to). */
  | { state: 'malformed'; detail: string; reply: Uint8Array | null; asked?: Asked };

/** What was asked for in a message that is refused, as far as it can be read. */
export interface Asked {
  /** In lower case; octets that no host name has as `\\065`. */
  name: string;
  type: number;
}

export interface Answer {
  rcode: number;
  /** Of the family that was asked for. */
  addresses?: readonly Address[];
  /** The name for a PTR question. */
  ptr?: string;
  /** Seconds. */
  ttl: number;
}

const HEADER = 12;
const QR = 0x8000;
const TC = 0x0200;
const RD = 0x0100;
const RA = 0x0080;
/** What we take in one datagram (RFC 9715 recommends no more), and what a client without EDNS takes. */
const UDP_SIZE = 1_232;
const UDP_SIZE_PLAIN = 512;
const TCP_SIZE = 65_535;
const OPT_RECORD = 11;
/** A pointer to the name in the question section, which follows the header. */
const QUESTION_NAME = [0xc0, HEADER];

/** `bytes` is one whole message. */
export function parseQuestion(bytes: Uint8Array): ParsedQuestion {
  if (bytes.length < HEADER) return { state: 'malformed', detail: 'the header is cut off', reply: null };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint16(2);
  // Answering an answer could go on for ever between two servers.
  if (flags & QR) return { state: 'malformed', detail: 'the message is not a question', reply: null };
  const name = readName(bytes, HEADER, { compressed: false });
  const isWhole = name !== null && name.end + 4 <= bytes.length && view.getUint16(4) > 0;
  const asked = isWhole ? { name: name.name.toLowerCase(), type: view.getUint16(name.end) } : undefined;
  const refuse = (detail: string, rcode: number): ParsedQuestion => {
    const reply = header(view.getUint16(0), QR | (flags & 0x7800) | (flags & RD) | rcode, [0, 0, 0]);
    return { state: 'malformed', detail, reply, ...(asked !== undefined && { asked }) };
  };
  if ((flags & 0x7800) !== 0) return refuse('the operation is not a query', RCODE.notImp);
  const counts = [4, 6, 8].map((at) => view.getUint16(at));
  if (counts.join() !== '1,0,0' || view.getUint16(10) > 1)
    return refuse('there is not exactly one question', RCODE.formErr);
  if (name === null || asked === undefined) return refuse('the question is cut off', RCODE.formErr);
  if (asked.name.includes('\\')) return refuse('the name holds what host names do not use', RCODE.formErr);
  const end = name.end + 4;
  const edns = view.getUint16(10) === 0 ? null : readOpt(bytes, view, end);
  if (edns === undefined) return refuse('the additional record is not EDNS', RCODE.formErr);
  if (edns === null && end !== bytes.length) return refuse('there is more than a question', RCODE.formErr);
  const value: Question = {
    id: view.getUint16(0),
    ...asked,
    class: view.getUint16(name.end + 2),
    recursionDesired: (flags & RD) !== 0,
    edns,
    section: bytes.slice(HEADER, end),
  };
  return { state: 'value', value };
}

/** The OPT record that ends the message (RFC 6891 section 6.1); its options mean nothing to us. */
function readOpt(bytes: Uint8Array, view: DataView, at: number): Question['edns'] | undefined {
  if (at + OPT_RECORD > bytes.length || bytes[at] !== 0) return undefined;
  if (view.getUint16(at + 1) !== TYPE.OPT) return undefined;
  const end = at + OPT_RECORD + view.getUint16(at + 9);
  if (end !== bytes.length) return undefined;
  return { udpSize: view.getUint16(at + 3), version: bytes[at + 6]! };
}

/** What does not fit is left out and marked as truncated, so that the client asks again over TCP. */
export function writeAnswer(question: Question, answer: Answer, transport: 'udp' | 'tcp'): Uint8Array {
  const records = answer.rcode === RCODE.noError ? recordsOf(question, answer) : [];
  const opt = question.edns === null ? [] : [optRecord(answer.rcode)];
  const write = (answers: Uint8Array[], more: number) => {
    const rd = question.recursionDesired ? RD : 0;
    const flags = QR | rd | RA | more | (answer.rcode & 0xf);
    const counts = [1, answers.length, opt.length] as const;
    return Buffer.concat([header(question.id, flags, counts), question.section, ...answers, ...opt]);
  };
  const message = write(records, 0);
  return message.length > sizeFor(question, transport) ? write([], TC) : message;
}

function sizeFor(question: Question, transport: 'udp' | 'tcp'): number {
  if (transport === 'tcp') return TCP_SIZE;
  if (question.edns === null) return UDP_SIZE_PLAIN;
  return Math.min(Math.max(question.edns.udpSize, UDP_SIZE_PLAIN), UDP_SIZE);
}

function recordsOf(question: Question, answer: Answer): Uint8Array[] {
  const data =
    answer.ptr === undefined ? (answer.addresses ?? []).map(({ bytes }) => bytes) : [writeName(answer.ptr)];
  return data.map((octets) => {
    const record = Buffer.alloc(12);
    record.set(QUESTION_NAME);
    record.writeUInt16BE(question.type, 2);
    record.writeUInt16BE(CLASS_IN, 4);
    record.writeUInt32BE(answer.ttl, 6);
    record.writeUInt16BE(octets.length, 10);
    return Buffer.concat([record, octets]);
  });
}

/** RFC 6891 section 6.1.2: root, OPT, our size, the upper bits of the rcode, version 0, no flags, no options. */
function optRecord(rcode: number): Uint8Array {
  const record = Buffer.alloc(OPT_RECORD);
  record.writeUInt16BE(TYPE.OPT, 1);
  record.writeUInt16BE(UDP_SIZE, 3);
  record[5] = rcode >> 4;
  return record;
}

function header(id: number, flags: number, counts: readonly [number, number, number]): Uint8Array {
  const bytes = Buffer.alloc(HEADER);
  const [questions, answers, additional] = counts;
  [id, flags, questions, answers, 0, additional].forEach(
    (value, i) => void bytes.writeUInt16BE(value, 2 * i),
  );
  return bytes;
}
