/**
 * DNS as a client speaks it: a question to a resolver and what its answer says. Only records that answer the
 * question along its chain of aliases count; whatever else a server adds is not looked at.
 */
import { type Address, addressOf } from '../../names/address.ts';
import { readName, writeName } from './labels.ts';
import { CLASS_IN, RCODE, TYPE } from './type.ts';

export type AddressType = typeof TYPE.A | typeof TYPE.AAAA;

/** What was asked. `name` has the letter case that was sent, which a genuine answer repeats. */
export interface Asked {
  id: number;
  name: string;
  type: AddressType;
}

export type ParsedAnswer =
  /** Empty where the name exists without such addresses. `ttl`: the least on the chain, in seconds. */
  | { state: 'addresses'; addresses: Address[]; ttl: number }
  /** The name does not exist (`nxdomain`), or the server gave another error: `servfail`, `refused`, `rcode 9`. */
  | { state: 'failure'; detail: string }
  /** To be asked again over TCP: the answer did not fit, or does not repeat the letter case and proves nothing. */
  | { state: 'truncated' }
  /** Not an answer to this question: somebody guesses, or an earlier answer came late. To be ignored. */
  | { state: 'stranger' }
  | { state: 'malformed'; detail: string };

const HEADER = 12;
const QR = 0x8000;
const TC = 0x0200;
const RD = 0x0100;
const ALIASES_MAX = 16;
const RECORDS_MAX = 1_024;
const RCODES: Readonly<Record<number, string>> = {
  [RCODE.formErr]: 'formerr',
  [RCODE.servFail]: 'servfail',
  [RCODE.nxDomain]: 'nxdomain',
  [RCODE.notImp]: 'notimp',
  [RCODE.refused]: 'refused',
};

/** One recursive question. `name` is written in the letter case given. */
export function writeQuery(asked: Asked): Uint8Array {
  const header = Buffer.alloc(HEADER);
  header.writeUInt16BE(asked.id, 0);
  header.writeUInt16BE(RD, 2);
  header.writeUInt16BE(1, 4);
  return Buffer.concat([header, writeName(asked.name), Buffer.of(0, asked.type, 0, CLASS_IN)]);
}

/** `bytes` is one whole message, from whoever sent it. */
export function parseAnswer(bytes: Uint8Array, asked: Asked): ParsedAnswer {
  if (bytes.length < HEADER) return { state: 'stranger' };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint16(2);
  const isReply = (flags & QR) !== 0 && (flags & 0x7800) === 0;
  if (view.getUint16(0) !== asked.id || !isReply) return { state: 'stranger' };
  const rcode = flags & 0xf;
  const question = readName(bytes, HEADER, { compressed: false });
  if (view.getUint16(4) !== 1 || question === null || question.end + 4 > bytes.length)
    return { state: 'stranger' };
  const repeats =
    question.name.toLowerCase() === asked.name.toLowerCase() &&
    view.getUint16(question.end) === asked.type &&
    view.getUint16(question.end + 2) === CLASS_IN;
  if (!repeats) return { state: 'stranger' };
  if (flags & TC || question.name !== asked.name) return { state: 'truncated' };
  if (rcode !== RCODE.noError) return { state: 'failure', detail: RCODES[rcode] ?? `rcode ${rcode}` };
  const records = readRecords(bytes, view, question.end + 4, view.getUint16(6));
  if (records === null) return { state: 'malformed', detail: 'a record of the answer is malformed' };
  return followAliases(records, asked);
}

interface ResourceRecord {
  owner: string;
  type: number;
  ttl: number;
  /** Of an alias: the name it stands for, in lower case. */
  alias: string | null;
  address: Address | null;
}

function readRecords(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  count: number,
): ResourceRecord[] | null {
  if (count > RECORDS_MAX) return null;
  const records: ResourceRecord[] = [];
  let at = start;
  for (let i = 0; i < count; i++) {
    const owner = readName(bytes, at);
    if (owner === null || owner.end + 10 > bytes.length) return null;
    const type = view.getUint16(owner.end);
    const ttl = view.getUint32(owner.end + 4);
    const data = owner.end + 10;
    at = data + view.getUint16(owner.end + 8);
    if (at > bytes.length) return null;
    if (view.getUint16(owner.end + 2) !== CLASS_IN) continue;
    let alias: string | null = null;
    let address: Address | null = null;
    if (type === TYPE.CNAME) {
      const target = readName(bytes, data);
      if (target === null || target.end !== at) return null;
      alias = target.name.toLowerCase();
    } else if (type === TYPE.A || type === TYPE.AAAA) {
      if (at - data !== (type === TYPE.A ? 4 : 16)) return null;
      address = addressOf(bytes.subarray(data, at));
    }
    // RFC 2181 section 8: a TTL with the highest bit set counts as zero.
    records.push({ owner: owner.name.toLowerCase(), type, ttl: ttl < 2 ** 31 ? ttl : 0, alias, address });
  }
  return records;
}

/** Aliases are followed inside this answer and nowhere else; the resolver that was asked has done the rest. */
function followAliases(records: ResourceRecord[], asked: Asked): ParsedAnswer {
  let name = asked.name.toLowerCase();
  let ttl = Number.POSITIVE_INFINITY;
  for (let hops = 0; hops <= ALIASES_MAX; hops++) {
    const owned = records.filter(({ owner }) => owner === name);
    const aliases = owned.filter(({ alias }) => alias !== null);
    const found = owned.filter(({ type }) => type === asked.type);
    if (aliases.length === 0) {
      for (const record of found) ttl = Math.min(ttl, record.ttl);
      const addresses = found.map(({ address }) => address!);
      return { state: 'addresses', addresses, ttl: ttl === Number.POSITIVE_INFINITY ? 0 : ttl };
    }
    // RFC 1034 section 3.6.2: an alias has no other data, and is one alias.
    if (aliases.length > 1 || found.length > 0)
      return { state: 'malformed', detail: 'an alias stands beside other records' };
    ttl = Math.min(ttl, aliases[0]!.ttl);
    name = aliases[0]!.alias!;
  }
  return { state: 'malformed', detail: 'the chain of aliases is too long' };
}
