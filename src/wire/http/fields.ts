/**
 * Where a message head ends and which field lines it has (RFC 9112 sections 2.2 and 5). Strict: a line ends
 * with CR LF and nothing else, no folding, no space before the colon, no control characters.
 */

/** One field line: the name as sent, the value without the white space around it, octets as Latin-1. */
export type Field = readonly [name: string, value: string];

export interface HeadLimits {
  /** Octets of the whole head, its empty line included. */
  bytes: number;
  /** Field lines. A head of thousands of tiny lines hides what matters from whoever gives up counting. */
  fields: number;
}

export const HEAD_LIMITS: HeadLimits = { bytes: 32_768, fields: 128 };

const TOO_LONG = 'the head is longer than';
const TOO_MANY = 'there are more than';
/** Octets of one field line. Few servers read longer ones, and what they do then differs. */
const LINE_MAX = 16_384;
const LINE_TOO_LONG = `a header line is longer than ${LINE_MAX} octets`;

/** Whether what is wrong with a head is its size alone, by the detail of `malformed`. */
export const isTooLarge = (detail: string) =>
  detail.startsWith(TOO_LONG) || detail.startsWith(TOO_MANY) || detail === LINE_TOO_LONG;

const HTAB = 9;
const LF = 10;
const CR = 13;
const SP = 32;
const COLON = 58;

const TOKEN = 1;
const VALUE = 2;

/** What each octet may be part of: tchar (RFC 9110 section 5.6.2); field-vchar, SP and HTAB (section 5.5). */
const CLASSES = new Uint8Array(256);
for (let octet = 0; octet < 256; octet++) {
  if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]$/.test(String.fromCharCode(octet))) CLASSES[octet]! |= TOKEN;
  if (octet === HTAB || (octet >= SP && octet !== 0x7f)) CLASSES[octet]! |= VALUE;
}

type HeadEnd = { state: 'more' } | { state: 'end'; end: number } | { state: 'malformed'; detail: string };

/**
 * Finds the empty line. `seen` is the length of a prefix of `bytes` for which the answer was `more`: it only
 * saves looking at those bytes again, so that a head sent a byte at a time is scanned once in all.
 */
export function findHeadEnd(bytes: Uint8Array, limit: number, seen: number): HeadEnd {
  for (let at = bytes.indexOf(LF, seen); at !== -1 && at < limit; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at - 1] !== CR) return { state: 'malformed', detail: 'a line ends without CR LF' };
    if (bytes[at - 2] === LF) return { state: 'end', end: at + 1 };
  }
  if (bytes.length >= limit) return { state: 'malformed', detail: `${TOO_LONG} ${limit} octets` };
  return { state: 'more' };
}

/**
 * The field lines of `bytes` from `start` up to the empty line that ends at `end`, or what is wrong. `text`: those bytes
 * as `latin1` has them, where somebody has made it already.
 */
export function readFields(
  bytes: Uint8Array,
  start: number,
  end: number,
  limit: number,
  text = latin1(bytes, end),
): Field[] | string {
  const fields: Field[] = [];
  const last = end - 2;
  let line = start;
  while (line < last) {
    if (fields.length === limit) return `${TOO_MANY} ${limit} header lines`;
    let at = line;
    while (CLASSES[bytes[at]!]! & TOKEN) at++;
    if (at === line) return 'a header name is empty, folded or malformed';
    if (bytes[at] !== COLON) return 'a header name is not followed by a colon';
    const name = text.slice(line, at);
    let from = at + 1;
    const to = bytes.indexOf(LF, from) - 1;
    if (to - line > LINE_MAX) return LINE_TOO_LONG;
    while (isBlank(bytes[from]!)) from++;
    let until = to;
    while (until > from && isBlank(bytes[until - 1]!)) until--;
    for (let i = from; i < to; i++) {
      if (!(CLASSES[bytes[i]!]! & VALUE)) return 'a header value holds a control character';
    }
    if (FRAMING.has(name.length) && isFraming(name) && (hasTab(bytes, at, from) || hasTab(bytes, until, to)))
      return 'a tab stands beside a value that frames the message';
    fields.push([name, text.slice(from, until)]);
    line = to + 2;
  }
  return fields;
}

/**
 * Names whose values decide whose message it is and where it ends. A tab beside a value is white space (RFC 9110 section
 * 5.6.3) that several servers take for a part of it: to them `chunked` and a tab is another coding.
 */
const FRAMING_NAMES = ['host', 'content-length', 'transfer-encoding'];
const FRAMING: ReadonlySet<number> = new Set(FRAMING_NAMES.map(({ length }) => length));
const isFraming = (name: string) => FRAMING_NAMES.includes(name.toLowerCase());

function hasTab(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] === HTAB) return true;
  return false;
}

/**
 * The elements of a list in a value, in lower case (RFC 9110 section 5.6.1). White space is a space or a tab: `trim`
 * takes the octet A0 for some too, and what stands beside it would be an option to us and to nobody else.
 */
export function listed(value: string): string[] {
  return value.split(',').map((part) => {
    let from = 0;
    let until = part.length;
    while (from < until && isBlank(part.charCodeAt(from))) from++;
    while (until > from && isBlank(part.charCodeAt(until - 1))) until--;
    return part.slice(from, until).toLowerCase();
  });
}

/** The first `end` octets as text, one character each, so that places in it are places in the bytes. */
export function latin1(bytes: Uint8Array, end: number): string {
  return latin1Slice.call(bytes, 0, end);
}

/** Of a Buffer, which would have to be made first; it asks for no more than any array of octets has. */
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
};

const isBlank = (octet: number) => octet === SP || octet === HTAB;
