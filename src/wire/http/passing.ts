/**
 * What of a message goes on to the next hop, and how its head is written again (RFC 9110 section 7.6). Fields that
 * concern one connection, a proxy or the gateway stay here, in both directions; everything else passes in its order,
 * octet for octet.
 */
import { type Field, listed } from './fields.ts';
import type { RequestHead } from './head.ts';
import type { ResponseHead } from './response.ts';

/**
 * Connection and its companions, old and new. `Proxy` is no header of HTTP's, but servers that hand headers on as
 * environment variables make `HTTP_PROXY` of it.
 */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'proxy',
]);
/** Whatever a proxy and its client say to each other, and what only this gateway says. */
const OURS = /^(?:proxy|x[-_]clawctl)[-_]/;

/** First letters, in lower case, of all names that need a second look. */
const SUSPECTS = new Uint8Array(256);
for (const letter of 'cehkptux') SUSPECTS[letter.charCodeAt(0)] = 1;
const isSuspect = (name: string) => SUSPECTS[name.charCodeAt(0) | 0x20] === 1;

/** Whether a field is for us alone. `name` in lower case. */
function staysHere(name: string): boolean {
  return HOP_BY_HOP.has(name) || OURS.test(name);
}

/**
 * Fields that steer, frame, authenticate or describe a whole message: nobody may say them when it is over (RFC 9110
 * section 6.5.1), since some recipients merge trailers into heads.
 */
const NOT_IN_TRAILERS =
  /^(?:content-.*|.*authorization|.*authenticate|.*authentication-info|cookie2?|set-cookie2?|if-.*|access-control-.*|sec-.*|x-forwarded-.*|forwarded|via|host|te|trailer|expect|range|max-forwards|cache-control|pragma|age|date|expires|location|refresh|retry-after|vary|warning|origin|referer|strict-transport-security)$/;

const passesInTrailer = (name: string) => !staysHere(name) && !NOT_IN_TRAILERS.test(name);

/** The end of a chunked body as it goes on: what may pass of the trailer, and the empty line. */
export function writeTrailer(fields: readonly Field[]): string {
  let text = '';
  for (const [name, value] of fields) {
    if (passesInTrailer(name.toLowerCase())) text += `${name}: ${value}\r\n`;
  }
  return `${text}\r\n`;
}

/**
 * The path and query that an absolute target names, as its origin is asked for them (RFC 9112 section 3.2.1). Null for
 * a path that begins with two slashes: whoever resolves it as a reference takes it for another host.
 */
export function originForm(method: string, target: string): string | null {
  let at = 'http://'.length;
  while (at < target.length && target[at] !== '/' && target[at] !== '?') at++;
  if (at === target.length) return method === 'OPTIONS' ? '*' : '/';
  if (target[at] === '?') return `/${target.slice(at)}`;
  const second = target[at + 1];
  return second === '/' || second === '\\' ? null : target.slice(at);
}

export interface RequestPassage {
  /** As `originForm` says. */
  path: string;
  /** The Host that the target was judged by; a port other than 80 is written. */
  authority: string;
  /** The protocol that the origin may change to; null: none is asked for. */
  upgrade: string | null;
}

/** The request as the origin sees it. The names of the fields that Connection lists stay here, too. */
export function writeRequestHead(head: RequestHead, { path, authority, upgrade }: RequestPassage): string {
  const { connection } = head;
  let text = `${head.method} ${path} HTTP/1.1\r\nHost: ${authority}\r\n`;
  for (const [name, value] of head.headers) {
    if (isSuspect(name) || connection.length > 0) {
      const lower = name.toLowerCase();
      if (lower === 'host' || staysHere(lower) || connection.includes(lower)) continue;
      if (lower === 'expect' && !head.expectContinue) continue;
      if (lower === 'trailer' && !announces(value)) continue;
    }
    text += `${name}: ${value}\r\n`;
  }
  if (head.body.kind === 'chunked') text += 'Transfer-Encoding: chunked\r\n';
  if (upgrade !== null) text += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`;
  return `${text}\r\n`;
}

export interface ResponsePassage {
  /** We close the connection to the client after it. */
  close: boolean;
  /** The body goes on in chunks. */
  chunked: boolean;
}

/** The response as the client sees it. Its phrase is no refusal of ours. */
export function writeResponseHead(head: ResponseHead, { close, chunked }: ResponsePassage): string {
  const { connection, upgrade } = head;
  let text = `HTTP/1.1 ${head.status} ${/clawctl/i.test(head.phrase) ? '' : head.phrase}\r\n`;
  for (const [name, value] of head.headers) {
    if (isSuspect(name) || connection.length > 0) {
      const lower = name.toLowerCase();
      if (staysHere(lower) || connection.includes(lower)) continue;
      if (lower === 'trailer' && !announces(value)) continue;
    }
    text += `${name}: ${value}\r\n`;
  }
  if (chunked) text += 'Transfer-Encoding: chunked\r\n';
  if (upgrade !== null) text += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`;
  else if (close) text += 'Connection: close\r\n';
  return `${text}\r\n`;
}

/** Whether all the fields that a Trailer field announces may come. */
const announces = (value: string) => listed(value).every(passesInTrailer);
