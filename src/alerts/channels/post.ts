/**
 * One HTTP POST to the place that a channel's configuration names, and to no other: the name is resolved once, every
 * answer is judged, the connection goes to a judged address, the certificate is verified, no redirect is followed, and
 * no proxy of the environment is used. The runtime's own clients cannot be held to all of that.
 */
import { lookup } from 'node:dns/promises';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectSecure, rootCertificates } from 'node:tls';
import { type Address, parseAddress } from '../../names/address.ts';
import { classOf } from '../../names/addressclass.ts';
import { parseRange, rangeContains } from '../../names/range.ts';
import { channelUrlProblem } from '../../policy/alerts/channelurl.ts';
import { parseResponseHead } from '../../wire/http/response.ts';
import { excerptOf } from './secret.ts';
import { later, refused, type Sent, unconfigured } from './sent.ts';

export interface Post {
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  /** Ranges of addresses that are not public and may be dialled all the same. */
  addresses: readonly string[];
  /** Certificates to trust besides the well-known ones, PEM. */
  authorities?: string | undefined;
  /** What is kept out of the record, however an answer holds it. */
  secrets?: readonly string[];
  signal: AbortSignal;
}

const HEAD = { bytes: 32_768, fields: 128 };
/** Octets of an answer's text that are waited for, and looked at. */
const ENOUGH_TEXT = 200;
const MOST_TEXT = 8_192;

type Resolve = (name: string) => Promise<string[]>;

const bySystem: Resolve = async (name) => (await lookup(name, { all: true })).map(({ address }) => address);

export async function post(request: Post, resolve = bySystem): Promise<Sent> {
  const problem = channelUrlProblem(request.url, request.addresses);
  if (problem !== null) return unconfigured(`its URL cannot be used: ${problem}`);
  const url = new URL(request.url);
  try {
    const address = await addressFor(url.hostname, request.addresses, resolve);
    return typeof address === 'string' ? await exchange(url, address, request) : address;
  } catch (error) {
    if (request.signal.aborted) return later('no answer in time');
    return later(detailOf(error));
  }
}

async function addressFor(
  hostname: string,
  ranges: readonly string[],
  resolve: Resolve,
): Promise<string | Sent> {
  const literal = hostname.replace(/^\[|\]$/g, '');
  const found = parseAddress(literal) !== null ? [literal] : await resolve(literal);
  const admitted = ranges.map(parseRange).filter((range) => range !== null);
  for (const text of found) {
    const address = parseAddress(text);
    if (address === null || !(isPublic(address) || admitted.some((range) => rangeContains(range, address))))
      return later(
        "its host leads to an address that is not public; 'addresses' in the channel would admit it",
      );
  }
  return found[0] ?? later('its host has no address');
}

const isPublic = (address: Address) => classOf(address) === 'public';

function exchange(url: URL, address: string, request: Post): Promise<Sent> {
  const { headers, body, signal, authorities, secrets = [] } = request;
  const secure = url.protocol === 'https:';
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  const content = Buffer.from(body);
  const lines = [
    `POST ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    'User-Agent: clawctl',
    'Accept-Encoding: identity',
    `Content-Length: ${content.length}`,
    'Connection: close',
  ];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const begin = () => void socket.write(Buffer.concat([head, content]));
    const name = url.hostname.replace(/^\[|\]$/g, '');
    const socket: Socket = secure
      ? connectSecure(
          {
            host: address,
            port,
            // A certificate for an address is checked against the address; SNI carries names alone (RFC 6066).
            ...(parseAddress(name) === null ? { servername: name } : {}),
            ...(authorities === undefined ? {} : { ca: [...rootCertificates, authorities] }),
            rejectUnauthorized: true,
          },
          begin,
        )
      : connectPlain({ host: address, port }, begin);
    const end = (sent: Sent) => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
      resolve(sent);
    };
    const abort = () => end(later('no answer in time'));
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      const sent = answerIn(received, false, secrets);
      if (sent !== null) end(sent);
    });
    socket.on('error', (error) => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
      reject(error);
    });
    socket.on('close', () =>
      end(answerIn(received, true, secrets) ?? later('the connection was cut before an answer')),
    );
  });
}

/** Null: not all of it is here. An answer counts when its head is complete; its text is only for the record. */
function answerIn(received: Buffer, ended: boolean, secrets: readonly string[]): Sent | null {
  let bytes: Buffer = received;
  for (;;) {
    const head = parseResponseHead(bytes, 'POST', HEAD);
    if (head.state === 'malformed') return later(`the answer is no HTTP: ${head.detail}`);
    if (head.state === 'more') return null;
    const { interim, status, headers, body } = head.value;
    const rest = bytes.subarray(head.end);
    if (interim) {
      bytes = rest;
      continue;
    }
    const isText = status >= 400 && body.kind !== 'none';
    const wanted = body.kind === 'length' ? Math.min(body.length, ENOUGH_TEXT) : ENOUGH_TEXT;
    if (isText && rest.length < wanted && !ended) return null;
    return judged(status, headers, excerptOf(rest.toString('utf8', 0, MOST_TEXT), secrets));
  }
}

/** RFC 9110 section 15: what an answer means for a message that was sent. */
function judged(status: number, headers: ReadonlyArray<readonly [string, string]>, text: string): Sent {
  const detail = `HTTP ${status}${text === '' ? '' : `: ${text}`}`;
  if (status >= 200 && status < 300) return { state: 'delivered', detail: `HTTP ${status}` };
  if (status >= 300 && status < 400) return refused(`HTTP ${status}: a redirect, which is not followed`);
  const after = retryAfter(headers, Date.now());
  if (status === 429 || status === 503 || after !== null) return later(detail, after);
  if (status >= 500 || status === 408 || status === 425) return later(detail, null, false);
  return refused(detail);
}

const LONGEST_REST = 3_600_000;

/** RFC 9110 section 10.2.3: seconds, or a date. Milliseconds, at most an hour; null for none, or nonsense. */
export function retryAfter(headers: ReadonlyArray<readonly [string, string]>, now: number): number | null {
  const text = headers.find(([name]) => name.toLowerCase() === 'retry-after')?.[1];
  if (text === undefined) return null;
  const wait = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
  return Number.isNaN(wait) ? null : Math.min(Math.max(wait, 0), LONGEST_REST);
}

/** A code, since messages of the runtime can hold the whole URL, which may be a secret. */
function detailOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? `not reached (${code})` : 'not reached';
}
