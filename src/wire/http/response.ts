/** The head of an HTTP/1.1 or 1.0 response (RFC 9112 section 4), with the same strictness as requests. */
import type { Parsed } from '../parsed.ts';
import type { Body } from './body.ts';
import { type Field, findHeadEnd, type HeadLimits, latin1, readFields } from './fields.ts';
import { endsConnection, type Framing, readFraming } from './framing.ts';

export interface ResponseHead {
  status: number;
  /** The minor version: HTTP/1.0 or HTTP/1.1. */
  version: 0 | 1;
  /** The reason phrase, perhaps empty. */
  phrase: string;
  headers: Field[];
  body: Body;
  /** Options of Connection in lower case. */
  connection: readonly string[];
  /** 1xx other than 101: the final response to the same request follows. */
  interim: boolean;
  /** Status 101: the protocol changed to, in lower case. Whether the client asked for it is not known here. */
  upgrade: string | null;
  /** The origin closes the connection after this response. */
  close: boolean;
}

const LF = 10;
/** The reason phrase may be empty, and many servers then leave out the space before it as well. */
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const BEGINNING = 'HTTP/1.';

const malformed = (detail: string) => ({ state: 'malformed', detail }) as const;

/**
 * `method` is that of the request it answers, which decides whether a body follows (RFC 9112 section 6.3).
 * `seen` as in `parseRequestHead`.
 */
export function parseResponseHead(
  bytes: Uint8Array,
  method: string,
  limits: HeadLimits,
  seen = 0,
): Parsed<ResponseHead> {
  for (let at = 0; at < BEGINNING.length && at < bytes.length; at++) {
    if (bytes[at] !== BEGINNING.charCodeAt(at)) return malformed('the response is not HTTP/1');
  }
  const head = findHeadEnd(bytes, limits.bytes, seen);
  if (head.state !== 'end') return head;
  const lineEnd = bytes.indexOf(LF) - 1;
  const text = latin1(bytes, head.end);
  const match = STATUS_LINE.exec(text.slice(0, lineEnd));
  if (match === null) return malformed('the status line is malformed');
  const version = match[1] === '1' ? 1 : 0;
  const status = Number(match[2]);
  const headers = readFields(bytes, lineEnd + 2, head.end, limits.fields, text);
  if (typeof headers === 'string') return malformed(headers);
  const framing = readFraming(headers, 'origin');
  if (typeof framing === 'string') return malformed(framing);
  if (framing.chunked && version === 0) return malformed('HTTP/1.0 has no Transfer-Encoding');
  const body = bodyOf(framing, status, method);
  if (body === null) return malformed('a response without a body frames one');
  const value: ResponseHead = {
    status,
    version,
    phrase: match[3] ?? '',
    headers,
    body,
    connection: framing.connection,
    interim: status < 200 && status !== 101,
    upgrade: status === 101 ? (framing.upgrade ?? '') : null,
    close: body.kind === 'until-close' || endsConnection(framing, version),
  };
  return { state: 'value', value, end: head.end };
}

/** Null where the framing contradicts a status that never has a body (RFC 9112 section 6.1, RFC 9110 8.6). */
function bodyOf(framing: Framing, status: number, method: string): Body | null {
  if (status < 200 || status === 204) {
    return framing.chunked || (framing.length ?? 0) > 0 ? null : { kind: 'none' };
  }
  if (method === 'HEAD' || status === 304) return { kind: 'none' };
  if (framing.chunked) return { kind: 'chunked' };
  return framing.length === null ? { kind: 'until-close' } : { kind: 'length', length: framing.length };
}
