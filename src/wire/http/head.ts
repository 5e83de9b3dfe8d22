/**
 * The head of an HTTP/1.1 or 1.0 request (RFC 9112 section 3), read strictly and never repaired: a request
 * that two servers could read differently is refused, because the check would be of one reading and the
 * origin would follow the other.
 */
import type { Parsed } from '../parsed.ts';
import { type Authority, parseAuthority, sameAuthority } from './authority.ts';
import type { Body } from './body.ts';
import { type Field, findHeadEnd, type HeadLimits, latin1, readFields } from './fields.ts';
import { endsConnection, type Framing, readFraming } from './framing.ts';

export interface RequestHead {
  method: string;
  /** As sent. */
  target: string;
  form: 'origin' | 'absolute' | 'authority' | 'asterisk';
  /** The minor version: HTTP/1.0 or HTTP/1.1. */
  version: 0 | 1;
  /** From an absolute or authority target, else from Host. Null only in HTTP/1.0. */
  host: Authority | null;
  /** In order, names as sent. */
  headers: Field[];
  body: Body;
  /** Value of Upgrade in lower case, whether or not Connection mentions it; null without one. */
  upgrade: string | null;
  /** Options of Connection in lower case: the names of fields that are meant for us alone are among them. */
  connection: readonly string[];
  expectContinue: boolean;
  /** The client wants the connection closed after the answer. */
  close: boolean;
}

const HTTP_PORT = 80;
const SP = 32;
const LF = 10;
const CR = 13;
const METHOD_MAX = 32;
/** RFC 9113 section 3.4: whoever speaks HTTP/2 begins with it, so that nobody who does not goes on. */
const RESERVED = 'PRI';

const malformed = (detail: string) => ({ state: 'malformed', detail }) as const;

/**
 * `seen`: length of a prefix of `bytes` for which the answer was `more`. It changes no answer and saves
 * scanning those bytes again; with it a head that comes a byte at a time costs one scan in all, at most
 * `limits.bytes` octets.
 */
export function parseRequestHead(bytes: Uint8Array, limits: HeadLimits, seen = 0): Parsed<RequestHead> {
  const method = readMethod(bytes);
  if (method === null) return malformed('the request does not begin with a method');
  if (method === RESERVED) return malformed('the method is reserved for HTTP/2');
  const head = findHeadEnd(bytes, limits.bytes, seen);
  const lineEnd = bytes.indexOf(LF) - 1;
  // The first line is judged as soon as it is there: other protocols are refused at once, not after a timeout.
  const isNew = lineEnd >= 0 && lineEnd + 1 >= seen && lineEnd + 1 < limits.bytes && bytes[lineEnd] === CR;
  if (head.state !== 'end' && !isNew) return head;
  const text = latin1(bytes, head.state === 'end' ? head.end : lineEnd);
  const line = readRequestLine(bytes, text, method, lineEnd);
  if (typeof line === 'string') return malformed(line);
  if (head.state !== 'end') return head;
  const headers = readFields(bytes, lineEnd + 2, head.end, limits.fields, text);
  if (typeof headers === 'string') return malformed(headers);
  const framing = readFraming(headers, 'client');
  if (typeof framing === 'string') return malformed(framing);
  const { target, version, aim } = line;
  const host = agreeOnHost(aim, framing, version);
  if (typeof host === 'string') return malformed(host);
  if (framing.chunked && version === 0) return malformed('HTTP/1.0 has no Transfer-Encoding');
  if (method === 'CONNECT') {
    if (framing.chunked || (framing.length ?? 0) > 0) return malformed('CONNECT has no body');
    // A length of zero cannot be read in two ways, and WinINet sends it: none, to whoever counts.
    framing.length = null;
  }
  const value: RequestHead = {
    method,
    target,
    form: aim.form,
    version,
    host,
    headers,
    body: bodyOf(framing),
    upgrade: framing.upgrade,
    connection: framing.connection,
    expectContinue: framing.expectContinue && version === 1,
    close: endsConnection(framing, version),
  };
  return { state: 'value', value, end: head.end };
}

/**
 * Whether a head with an Upgrade can lead to one: a plain GET that says so in Connection (RFC 9110 section 7.8). After
 * a body the origin may be in the middle of its answer, and what the client made it say there could pass for a 101.
 */
export function canUpgrade({ method, body, version, connection }: RequestHead): boolean {
  return method === 'GET' && body.kind === 'none' && version === 1 && connection.includes('upgrade');
}

/** Capital letters and hyphens, then a space; as far as it is there. Null if the bytes cannot become that. */
function readMethod(bytes: Uint8Array): string | null {
  for (let at = 0; at < bytes.length; at++) {
    const octet = bytes[at]!;
    if (octet === SP && at > 0) return latin1(bytes, at);
    const isLetter = octet >= 0x41 && octet <= 0x5a;
    if (!isLetter && (octet !== 0x2d || at === 0)) return null;
    if (at === METHOD_MAX) return null;
  }
  return '';
}

interface RequestLine {
  target: string;
  version: 0 | 1;
  aim: Aim;
}

/** The request line has exactly two spaces. `text`: `bytes` as `latin1` has them. `end`: where its CR is. */
function readRequestLine(bytes: Uint8Array, text: string, method: string, end: number): RequestLine | string {
  const start = method.length + 1;
  const space = bytes.indexOf(SP, start);
  if (space === -1 || space >= end) return 'the request line has no version';
  if (space === start) return 'the request line has no target';
  for (let at = start; at < space; at++) {
    const octet = bytes[at]!;
    if (octet <= SP || octet >= 0x7f) return 'the target holds something else than visible ASCII';
    if (octet === 0x23) return 'the target holds a fragment';
  }
  const written = text.slice(space + 1, end);
  if (written !== 'HTTP/1.1' && written !== 'HTTP/1.0') return 'the version is neither HTTP/1.0 nor HTTP/1.1';
  const target = text.slice(start, space);
  const aim = readTarget(method, target);
  return typeof aim === 'string' ? aim : { target, version: written === 'HTTP/1.1' ? 1 : 0, aim };
}

interface Aim {
  form: RequestHead['form'];
  authority: Authority | null;
  /** The authority as it was written. */
  text?: string;
}

/** The four forms of RFC 9112 section 3.2. */
function readTarget(method: string, target: string): Aim | string {
  if (method === 'CONNECT') {
    const authority = parseAuthority(target);
    return authority === null || authority.port === null
      ? 'the target of CONNECT is not a host and a port'
      : { form: 'authority', authority, text: target };
  }
  if (target === '*')
    return method === 'OPTIONS' ? { form: 'asterisk', authority: null } : 'only OPTIONS has the target *';
  // `//host/` and `/\host/` are paths here, but another host to whoever resolves them as a reference.
  if (/^\/[/\\]/.test(target)) return 'the path begins with two slashes';
  if (target.startsWith('/')) return { form: 'origin', authority: null };
  const absolute = /^http:\/\/([^/?]*)/i.exec(target);
  if (absolute === null) return 'the target is neither a path nor an http URL';
  const text = absolute[1]!;
  const authority = parseAuthority(text);
  return authority === null ? 'the host in the target is malformed' : { form: 'absolute', authority, text };
}

/** One host, said once or said the same everywhere (RFC 9112 section 3.2.2 would let the target win). */
function agreeOnHost(aim: Aim, framing: Framing, version: 0 | 1): Authority | null | string {
  if (framing.hosts.length > 1) return 'Host appears twice';
  const text = framing.hosts[0];
  if (text === undefined) return version === 1 ? 'Host is missing' : aim.authority;
  if (text === aim.text) return aim.authority;
  const host = parseAuthority(text);
  if (host === null) return 'Host is malformed';
  if (aim.authority === null) return host;
  const port = aim.form === 'authority' ? aim.authority.port! : HTTP_PORT;
  return sameAuthority(aim.authority, host, port) ? aim.authority : 'Host and target name different hosts';
}

function bodyOf(framing: Framing): Body {
  if (framing.chunked) return { kind: 'chunked' };
  return framing.length === null ? { kind: 'none' } : { kind: 'length', length: framing.length };
}
