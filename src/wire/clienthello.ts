/**
 * The TLS ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2), as far as it says where the
 * connection wants to go. Every length must add up exactly: what two readers could read differently is refused.
 */
import { type Cursor, createCursor } from './cursor.ts';
import type { Parsed } from './parsed.ts';
import { APPLICATION_DATA, CHANGE_CIPHER_SPEC, readHandshake } from './tlsrecord.ts';

export interface ClientHello {
  /** The server name as sent: 1 to 255 visible ASCII characters, not yet judged as a host. Null: none sent. */
  serverName: string | null;
  /**
   * An encrypted_client_hello extension is there (RFC 9849), and `serverName` is the outer name. Browsers also
   * send it with random content (GREASE); by design nobody but the origin can tell the two apart.
   */
  encrypted: boolean;
  /** Protocols offered (RFC 7301), in order, octets as Latin-1. */
  alpn: string[];
  /** Versions offered, such as 0x0304. */
  versions: number[];
}

interface Options {
  /**
   * For the ClientHello that answers a HelloRetryRequest: early data that the server skips and a change of
   * cipher may come before it (RFC 8446 sections 4.2.10 and D.4). `end` then counts them in.
   */
  afterRetry?: boolean;
}

const SERVER_NAME = 0;
const ALPN = 16;
const SUPPORTED_VERSIONS = 43;
/** encrypted_client_hello (RFC 9849), its drafts 8 to 12, and the older encrypted_server_name. */
const ENCRYPTED = new Set([0xfe0d, 0xfe0c, 0xfe0b, 0xfe0a, 0xfe09, 0xfe08, 0xffce]);

const FIRST = { message: 1, before: [], othersInRecord: false } as const;
const SECOND = { ...FIRST, before: [CHANGE_CIPHER_SPEC, APPLICATION_DATA] } as const;

export function parseClientHello(bytes: Uint8Array, options: Options = {}): Parsed<ClientHello> {
  const message = readHandshake(bytes, options.afterRetry ? SECOND : FIRST);
  if (message.state !== 'value') return message;
  const hello = readHello(message.value);
  if (typeof hello === 'string') return { state: 'malformed', detail: hello };
  return { state: 'value', value: hello, end: message.end };
}

/** The hello, or what is wrong with it. */
function readHello(body: Uint8Array): ClientHello | string {
  const cursor = createCursor(body);
  const version = cursor.u16();
  const random = cursor.take(32);
  const session = cursor.vector(1);
  const suites = cursor.vector(2);
  const compressions = cursor.vector(1);
  if (version === null || random === null || session === null || suites === null || compressions === null)
    return 'the ClientHello ends too early';
  if (version >> 8 !== 3) return 'the version is not TLS';
  if (session.length > 32) return 'the session id is too long';
  if (suites.length === 0 || suites.length % 2 !== 0) return 'the cipher suites do not add up';
  if (compressions.length === 0) return 'no compression method is offered';
  const hello: ClientHello = { serverName: null, encrypted: false, alpn: [], versions: [version] };
  if (cursor.left() === 0) return hello;
  const extensions = cursor.vector(2);
  if (extensions === null || cursor.left() !== 0) return 'the extensions do not add up';
  return readExtensions(createCursor(extensions), hello);
}

function readExtensions(cursor: Cursor, hello: ClientHello): ClientHello | string {
  const types = new Set<number>();
  while (cursor.left() > 0) {
    const type = cursor.u16();
    const data = cursor.vector(2);
    if (type === null || data === null) return 'an extension does not add up';
    if (types.has(type)) return 'an extension appears twice';
    types.add(type);
    if (type === SERVER_NAME) {
      const name = readServerName(data);
      if (name === null) return 'the server name is not exactly one host name';
      hello.serverName = name;
    } else if (type === ALPN) {
      const protocols = readProtocols(data);
      if (protocols === null) return 'the protocol list does not add up';
      hello.alpn = protocols;
    } else if (type === SUPPORTED_VERSIONS) {
      const versions = readVersions(data);
      if (versions === null) return 'the version list does not add up';
      hello.versions = versions;
    } else if (ENCRYPTED.has(type)) {
      hello.encrypted = true;
    }
  }
  return hello;
}

/** RFC 6066 section 3. The list form was meant for more name types; none came, so exactly one entry stands. */
function readServerName(data: Uint8Array): string | null {
  const outer = createCursor(data);
  const list = outer.vector(2);
  if (list === null || outer.left() !== 0) return null;
  const entries = createCursor(list);
  const type = entries.u8();
  const name = entries.vector(2);
  if (type !== 0 || name === null || entries.left() !== 0) return null;
  if (name.length === 0 || name.length > 255) return null;
  if (!name.every((octet) => octet > 0x20 && octet < 0x7f)) return null;
  return latin1(name);
}

function readProtocols(data: Uint8Array): string[] | null {
  const outer = createCursor(data);
  const list = outer.vector(2);
  if (list === null || outer.left() !== 0 || list.length === 0) return null;
  const cursor = createCursor(list);
  const protocols: string[] = [];
  while (cursor.left() > 0) {
    const protocol = cursor.vector(1);
    if (protocol === null || protocol.length === 0) return null;
    protocols.push(latin1(protocol));
  }
  return protocols;
}

function readVersions(data: Uint8Array): number[] | null {
  const outer = createCursor(data);
  const list = outer.vector(1);
  if (list === null || outer.left() !== 0 || list.length === 0 || list.length % 2 !== 0) return null;
  return Array.from({ length: list.length / 2 }, (_, i) => (list[2 * i]! << 8) | list[2 * i + 1]!);
}

const latin1 = (octets: Uint8Array) => String.fromCharCode(...octets);
