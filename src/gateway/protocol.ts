/** What a client begins to speak, from its first bytes: the same answer however they were split. */

export type Protocol = 'tls' | 'http' | 'other';

const LF = 10;
const CR = 13;
const ALERT = 21;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
/** A longer first word is no method of any server's. Without a limit, text without a space would wait for one. */
const METHOD_MAX = 128;
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
 * A request line: a word, a space, and as its last word a version. Servers skip empty lines before it, some take a
 * bare CR for its end, and some take for a space whatever Unicode does, or control characters for a path.
 */
function http(bytes: Uint8Array): Protocol | null {
  let at = 0;
  while (at < bytes.length && isSpace(bytes[at]!)) at++;
  const start = at;
  while (at < bytes.length && isToken(bytes[at]!)) at++;
  if (at - start > METHOD_MAX) return 'other';
  if (at === bytes.length) return at >= LINE_MAX ? 'http' : null;
  if (at === start || !isSpace(bytes[at]!)) return 'other';
  /** The last word so far. */
  let word = start;
  let end = at;
  for (; at < bytes.length; at++) {
    const octet = bytes[at]!;
    if (octet === LF || octet === CR) {
      if (word > start && isVersion(bytes, start, word, end)) return 'http';
      if (octet === LF) return 'other';
    }
    if (isSpace(octet)) continue;
    if (at > end) word = at;
    end = at + 1;
  }
  return at >= LINE_MAX ? 'http' : null;
}

/** What Python and others split a line at: HTAB to CR, the ASCII separators, SP, NEL and NBSP. */
const isSpace = (octet: number) =>
  (octet >= 9 && octet <= 13) || (octet >= 28 && octet <= 32) || octet === 0x85 || octet === 0xa0;

/** `HTTP/` and anything: numbers are read in many ways. */
function isVersion(bytes: Uint8Array, start: number, word: number, end: number): boolean {
  const text = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  if (text(word, Math.min(end, word + 5)).toUpperCase() !== 'HTTP/') return false;
  return end - start !== PREFACE.length || text(start, end) !== PREFACE;
}

/** HTTP/2 begins with it (RFC 9113 section 3.4). */
const PREFACE = 'PRI * HTTP/2.0';

const TOKEN = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  TOKEN[character.charCodeAt(0)] = 1;
const isToken = (octet: number) => TOKEN[octet] === 1;
