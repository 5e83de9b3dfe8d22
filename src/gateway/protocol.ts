/** What a client begins to speak, from its first bytes: the same answer however they were split. */

export type Protocol = 'tls' | 'http' | 'other';

const SP = 32;
const LF = 10;
const CR = 13;
const TAB = 9;
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
  if (isTlsRecord(first)) return bytes.length < 2 ? null : bytes[1] === 3 ? 'tls' : 'other';
  if (first >= 0x80) return sslv2(bytes);
  return http(bytes);
}

/** The ClientHello of SSLv2 that offers TLS (RFC 5246 appendix E.2): length, type 1, version 3.x. */
function sslv2(bytes: Uint8Array): Protocol | null {
  if (bytes.length < 3) return null;
  if (bytes[2] !== 1) return 'other';
  return bytes.length < 4 ? null : bytes[3] === 3 ? 'tls' : 'other';
}

/**
 * A request line: a word, a space, and at its end a version. Servers skip empty lines before it, and some take
 * a bare CR for its end.
 */
function http(bytes: Uint8Array): Protocol | null {
  let at = 0;
  while (isBlank(bytes[at]!) || bytes[at] === LF) at++;
  const start = at;
  while (at < bytes.length && isToken(bytes[at]!)) at++;
  if (at - start > METHOD_MAX) return 'other';
  if (at === bytes.length) return at >= LINE_MAX ? 'http' : null;
  if (at === start || (bytes[at] !== SP && bytes[at] !== TAB)) return 'other';
  let end = at;
  for (; at < bytes.length; at++) {
    const octet = bytes[at]!;
    if (octet === LF || octet === CR) {
      const isRequest = endsWithVersion(bytes.subarray(start, end));
      if (isRequest) return 'http';
      if (octet === LF) return 'other';
    } else if (octet < SP && octet !== TAB) return 'other';
    if (!isBlank(octet)) end = at + 1;
  }
  return at >= LINE_MAX ? 'http' : null;
}

const isBlank = (octet: number) => octet === SP || octet === TAB || octet === CR;

/** ` HTTP/` and a number, which no server reads beyond a few digits. */
function endsWithVersion(line: Uint8Array): boolean {
  const tail = line.subarray(Math.max(0, line.length - 24));
  const text = Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength).toString('latin1');
  return /\sHTTP\/[0-9.]*$/i.test(text) && text !== 'PRI * HTTP/2.0';
}

const TOKEN = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  TOKEN[character.charCodeAt(0)] = 1;
const isToken = (octet: number) => TOKEN[octet] === 1;
