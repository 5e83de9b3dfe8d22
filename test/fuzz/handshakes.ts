/** Hellos of TLS, SOCKS5 and the PROXY protocol; the first beside read-tls-client-hello. */
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { readTlsClientHello } from 'read-tls-client-hello';
import { addressOf } from '../../src/names/address.ts';
import { parseClientHello } from '../../src/wire/clienthello.ts';
import { answerOfEverySplit } from '../../src/wire/feeding.fixture.ts';
import type { Parsed } from '../../src/wire/parsed.ts';
import { parseProxyHeader } from '../../src/wire/proxyprotocol.ts';
import { parseServerHello } from '../../src/wire/serverhello.ts';
import { parseSocksCredentials, parseSocksGreeting, parseSocksRequest } from '../../src/wire/socks5.ts';
import { HELLOS } from '../corpus/clienthello.ts';
import { damaged, same, type Target, target } from './target.ts';

const octets = (...values: number[]) => Uint8Array.from(values);
const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
/** Those that are short enough to be cut everywhere. */
const hellos = Object.values(HELLOS)
  .map((hello) => new Uint8Array(hello()))
  .filter(({ length }) => length < 1_000);

const serverHello = (random: number) =>
  octets(22, 3, 3, 0, 44, 2, 0, 0, 40, 3, 3, ...Array(32).fill(random), 0, 0x13, 1, 0, 0, 0);

const socks = [
  hex('050100'),
  hex('05020002'),
  hex('050100030c616c6c6f7765642e7465737401bb'),
  hex('0501000193b8d80e01bb'),
  hex('05010004200106f8000000000000000000000001005000'),
  hex('0104757365720570617373'),
];
const SIGNATURE = '0d0a0d0a000d0a515549540a';
const proxies = [
  hex(`${SIGNATURE}2111000c7f0000017f00000130390050`),
  hex(`${SIGNATURE}20000000`),
  hex(`${SIGNATURE}21210024${'00'.repeat(15)}01${'00'.repeat(15)}01303901bb`),
  hex(`${SIGNATURE}21110013${'7f0000017f00000130390050'}0300046d61676b`),
];

/** The same however it is cut; whether it was accepted. */
const cut =
  <T>(parse: (bytes: Uint8Array) => Parsed<T>) =>
  (bytes: Uint8Array): boolean =>
    answerOfEverySplit<T>((prefix) => parse(prefix), bytes).state === 'value';

export const HANDSHAKES: readonly Target[] = [
  target(
    'ClientHellos, beside read-tls-client-hello',
    damaged(fc.constantFrom(...hellos), 2),
    async (bytes) => {
      const parsed = parseClientHello(bytes);
      if (parsed.state !== 'value') return false;
      const { serverName, alpn } = parsed.value;
      const seen = await readTlsClientHello(Readable.from([Buffer.from(bytes)], { objectMode: false })).catch(
        () => null, // it takes one record only
      );
      if (seen === null) return false;
      const dataOf = (id: number) => seen.extensions.find((each) => each.id === id)?.data ?? {};
      same('the server name', serverName, dataOf(0).serverName ?? null);
      const ascii = (protocol: string) => /^[ -~]*$/.test(protocol);
      if ([serverName ?? '', ...alpn].every(ascii))
        same('the protocols', [...alpn], dataOf(16).protocols ?? []);
      return true;
    },
  ),
  target(
    'ClientHellos, cut anywhere',
    damaged(fc.constantFrom(...hellos), 3),
    cut((bytes) => parseClientHello(bytes)),
  ),
  target(
    'ServerHellos, cut anywhere',
    damaged(fc.constantFrom(serverHello(1), serverHello(0xcf))),
    cut(parseServerHello),
  ),
  target('SOCKS5, cut anywhere', damaged(fc.constantFrom(...socks)), (bytes) => {
    const greeting = cut(parseSocksGreeting)(bytes);
    const credentials = cut(parseSocksCredentials)(bytes);
    const request = parseSocksRequest(bytes);
    if (!cut(parseSocksRequest)(bytes) || request.state !== 'value') return greeting || credentials;
    // Written again it is what was read.
    const { command, host, port } = request.value;
    if (host === null) return true;
    const place =
      typeof host === 'string'
        ? [3, host.length, ...Buffer.from(host, 'latin1')]
        : [host.family === 4 ? 1 : 4, ...addressOf(host.bytes).bytes];
    same(
      'the request',
      [5, command, 0, ...place, port >> 8, port & 255],
      [...bytes.subarray(0, request.end)],
    );
    return true;
  }),
  target('PROXY headers, cut anywhere', damaged(fc.constantFrom(...proxies), 3), cut(parseProxyHeader)),
];
