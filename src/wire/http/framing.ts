/**
 * The header fields that say where a message ends and what becomes of the connection (RFC 9112 sections 6, 7
 * and 9). Anything that two recipients have been known to read differently is refused.
 */
import { type Field, listed } from './fields.ts';

export interface Framing {
  length: number | null;
  chunked: boolean;
  /** Values of the Host fields, as sent. */
  hosts: string[];
  /** Options of Connection in lower case. */
  connection: string[];
  /** Value of Upgrade in lower case; of a response's several, joined by commas. */
  upgrade: string | null;
  expectContinue: boolean;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Canonical decimal, so that nobody can read it as octal, and within what a number holds exactly. */
const LENGTH = /^(0|[1-9][0-9]{0,14})$/;
/** Whose head it is. Trailers, whoever sends them, are read as strictly as a client's head. */
export type Sender = 'client' | 'origin';

/**
 * A hop that removed these because Connection names them would lose the framing. Origins do name Transfer-Encoding, which
 * RFC 9112 section 6.1 makes hop-by-hop anyway: we have read it by then, and say our own.
 */
const NEVER_HOP_BY_HOP: Record<Sender, readonly string[]> = {
  client: ['host', 'content-length', 'transfer-encoding'],
  origin: ['host', 'content-length'],
};

/** The framing, or what is wrong with it. */
export function readFraming(fields: readonly Field[], sender: Sender): Framing | string {
  const framing: Framing = {
    length: null,
    chunked: false,
    hosts: [],
    connection: [],
    upgrade: null,
    expectContinue: false,
  };
  for (const [name, value] of fields) {
    if (!LENGTHS.has(name.length)) continue;
    const problem = readField(framing, name.toLowerCase(), value, sender);
    if (problem !== null) return problem;
  }
  if (framing.chunked && framing.length !== null)
    return 'both Content-Length and Transfer-Encoding are there';
  return framing;
}

/** Of the names that matter: most others need not be looked at. */
const LENGTHS: ReadonlySet<number> = new Set(
  ['host', 'expect', 'upgrade', 'connection', 'content-length', 'transfer-encoding'].map(
    ({ length }) => length,
  ),
);

function readField(framing: Framing, name: string, value: string, sender: Sender): string | null {
  switch (name) {
    case 'host':
      framing.hosts.push(value);
      return null;
    case 'content-length':
      if (framing.length !== null) return 'Content-Length appears twice';
      if (!LENGTH.test(value)) return 'Content-Length is not a plain decimal number';
      framing.length = Number(value);
      return null;
    case 'transfer-encoding':
      if (framing.chunked) return 'Transfer-Encoding appears twice';
      if (value !== 'chunked') return 'Transfer-Encoding is something else than chunked';
      framing.chunked = true;
      return null;
    // Servers that hand headers on as environment variables cannot tell the underscore from the hyphen.
    case 'content_length':
    case 'transfer_encoding':
      return 'a header imitates one that frames the message';
    case 'connection':
      return readConnection(framing, value, sender);
    case 'upgrade':
      // A client could mean either; an origin that does not switch now means nothing by it.
      if (framing.upgrade !== null && sender === 'client') return 'Upgrade appears twice';
      framing.upgrade = `${framing.upgrade === null ? '' : `${framing.upgrade}, `}${value.toLowerCase()}`;
      return null;
    case 'expect':
      if (framing.expectContinue) return 'Expect appears twice';
      if (value.toLowerCase() !== '100-continue') return 'Expect is something else than 100-continue';
      framing.expectContinue = true;
      return null;
    default:
      return null;
  }
}

function readConnection(framing: Framing, value: string, sender: Sender): string | null {
  for (const option of listed(value)) {
    // RFC 9110 section 5.6.1.2: whoever receives a list skips its empty elements.
    if (option === '') continue;
    if (!TOKEN.test(option)) return 'Connection is not a list of options';
    if (NEVER_HOP_BY_HOP[sender].includes(option)) return 'Connection names a header that frames the message';
    framing.connection.push(option);
  }
  return null;
}

/** Whether the connection ends after this message (RFC 9112 section 9.3). `version` is the minor version. */
export function endsConnection(framing: Framing, version: 0 | 1): boolean {
  if (framing.connection.includes('close')) return true;
  return version === 0 && !framing.connection.includes('keep-alive');
}
