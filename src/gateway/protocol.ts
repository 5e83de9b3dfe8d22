/** What a client begins to speak, from its first bytes: the same answer however they were split. */

export type Protocol = 'tls' | 'http' | 'other';

const LF = 10;
const CR = 13;
const ALERT = 21;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
/** A longer line is left to the strict parser: this one looks at it anew with every piece that comes. */
const LINE_MAX = 8_192;
/** ChangeCipherSpec, Alert, Handshake, ApplicationData, Heartbeat: whatever a lenient server might let come first. */
const isTlsRecord = (type: number) => type >= 20 && type <= 24;

/** Whether a connection that begins with this octet can be TLS only, or no text at all. */
export const isRecordStart = (first: number) => isTlsRecord(first) || first >= 0x80;

/**
 * Null while it could still be TLS or HTTP. Wide on purpose: what some server might take for HTTP or TLS is
 * called so here, and the strict parser then refuses what it does not like. HTTP/2 with prior knowledge is
 * `other`: its names are not looked at.
 */
export function protocolOf(bytes: Uint8Array): Protocol | null {
  const first = bytes[0];
  if (first === undefined) return null;
  if (isTlsRecord(first)) return tls(bytes);
  const old = first >= 0x80 ? sslv2(bytes) : 'other';
  return old === 'other' && (first < 0x80 || isSpace(first)) ? http(bytes) : old;
}

/**
 * A record by its version, or by what it holds: its version is to be ignored (RFC 8446 section 5.1), and there are
 * servers that do so up to the major version 15.
 */
function tls(bytes: Uint8Array): Protocol | null {
  const major = bytes[1];
  if (major === undefined) return null;
  if (major === 3) return 'tls';
  if (major > 15 || (bytes[0] !== ALERT && bytes[0] !== HANDSHAKE)) return 'other';
  if (bytes.length < 6) return null;
  const isHello = bytes[0] === HANDSHAKE && bytes[5] === CLIENT_HELLO;
  const isAlert = bytes[0] === ALERT && bytes[3] === 0 && bytes[4] === 2;
  return isHello || isAlert ? 'tls' : 'other';
}

/** The ClientHello of SSLv2 that offers TLS (RFC 5246 appendix E.2): length, type 1, version 3.x. */
function sslv2(bytes: Uint8Array): Protocol | null {
  if (bytes.length < 3) return null;
  if (bytes[2] !== CLIENT_HELLO) return 'other';
  return bytes.length < 4 ? null : bytes[3] === 3 ? 'tls' : 'other';
}

/**
 * A request line: a word, a space, and then a path, an http URL or, as its last word, a version. Servers skip empty
 * lines before it, some take any word for a method and any for a version, some none for HTTP/0.9, some a bare CR for
 * its end, and some take for a space whatever Unicode does, or control characters for a path.
 */
function http(bytes: Uint8Array): Protocol | null {
  let at = 0;
  while (at < bytes.length && isSpace(bytes[at]!)) at++;
  // Empty lines and then a NUL: the second version of the PROXY protocol, behind which a request may hide.
  if (at > 0 && bytes[at] === 0) return 'http';
  const start = at;
  while (at < bytes.length && isVisible(bytes[at]!)) at++;
  const first = at;
  // A longer word is no method of any server's that we know.
  if (at - start >= LINE_MAX) return 'other';
  if (at === bytes.length) return start >= LINE_MAX ? 'http' : null;
  if (at === start || !isSpace(bytes[at]!)) return 'other';
  const isMethod = bytes.subarray(start, first).every(isToken);
  let second = -1;
  /** The last word so far. */
  let word = start;
  let end = at;
  for (; at < bytes.length; at++) {
    const octet = bytes[at]!;
    if (octet === LF || octet === CR) {
      const words = { start, first, second, word, end };
      if (!isPreface(bytes, words) && (hasVersion(bytes, words) || hasTarget(bytes, words))) return 'http';
      if (octet === LF) return 'other';
    }
    if (isSpace(octet)) continue;
    if (at > end) word = at;
    if (second < 0) {
      second = at;
      if (!isMethod && !mayBeTarget(octet)) return 'other'; // XML and JSON may go on for long without a line's end
    }
    end = at + 1;
  }
  return at >= LINE_MAX ? 'http' : null;
}

/** What Python and others split a line at: HTAB to CR, the ASCII separators, SP, NEL and NBSP. */
const isSpace = (octet: number) =>
  (octet >= 9 && octet <= 13) || (octet >= 28 && octet <= 32) || octet === 0x85 || octet === 0xa0;

/** Where in a line its words are. */
interface Words {
  start: number;
  /** The end of the first. */
  first: number;
  /** The beginning of the second; -1 where there is none. */
  second: number;
  /** The beginning of the last, and its end. */
  word: number;
  end: number;
}

const textOf = (bytes: Uint8Array, from: number, to: number) =>
  String.fromCharCode(...bytes.subarray(from, to));

/**
 * `HTTP/` and anything, since numbers are read in many ways; what the parser of Node and others takes for the same; and
 * the first version of the PROXY protocol, behind which a request may hide.
 */
function hasVersion(bytes: Uint8Array, { start, first, word, end }: Words): boolean {
  if (word === start) return false;
  if (textOf(bytes, start, Math.min(first, start + 6)) === 'PROXY') return true;
  return /^(?:HTTP|RTSP|ICE)\//i.test(textOf(bytes, word, Math.min(end, word + 5)));
}

const SLASH = 0x2f;
const STAR = 0x2a;
const mayBeTarget = (octet: number) => octet === SLASH || octet === STAR || (octet | 0x20) === 0x68;

/** There are servers that look at nothing else in the line. git's own protocol has a path behind its word, and a NUL. */
function hasTarget(bytes: Uint8Array, { start, first, second, word, end }: Words): boolean {
  if (second < 0) return false;
  if (bytes[second] === STAR) return word > second && isSpace(bytes[second + 1]!);
  const isPath = bytes[second] === SLASH;
  if (!isPath && !/^https?:/i.test(textOf(bytes, second, Math.min(end, second + 6)))) return false;
  const isGit = GIT.test(textOf(bytes, start, Math.min(first, start + 8)));
  const nul = bytes.indexOf(0, second);
  return !isGit || nul === -1 || nul > end;
}

const GIT = /^[0-9a-f]{4}git-/;

/** HTTP/2 begins with it (RFC 9113 section 3.4). */
const PREFACE = 'PRI * HTTP/2.0';

const isPreface = (bytes: Uint8Array, { start, end }: Words) =>
  end - start === PREFACE.length && textOf(bytes, start, end) === PREFACE;

const isVisible = (octet: number) => octet > 0x20 && octet < 0x7f;

const TOKEN = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  TOKEN[character.charCodeAt(0)] = 1;
const isToken = (octet: number) => TOKEN[octet] === 1;
