import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { addressOf } from '../names/address.ts';
import { answerOfEverySplit, mutate, octets } from './feeding.fixture.ts';
import { type ProxyHeader, parseProxyHeader } from './proxyprotocol.ts';

const SIGNATURE = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10];
const header = (command: number, form: number, rest: readonly number[]) =>
  Uint8Array.from([...SIGNATURE, command, form, rest.length >> 8, rest.length & 255, ...rest]);
const parse = (bytes: Uint8Array) =>
  answerOfEverySplit<ProxyHeader>((prefix) => parseProxyHeader(prefix), bytes);

const IPV4 = [192, 0, 2, 7, 198, 51, 100, 9, 0x30, 0x39, 1, 187];
const value = (bytes: Uint8Array, source: ProxyHeader['source']) =>
  expect(parse(bytes)).toEqual({ state: 'value', value: { source }, end: bytes.length });

/** From the text of the format: a header with a checksum over all of it. */
function withChecksum(form: number, rest: number[]): Uint8Array {
  const bytes = header(0x21, form, [...rest, 3, 0, 4, 0, 0, 0, 0]);
  new DataView(bytes.buffer).setUint32(bytes.length - 4, crc32c(bytes));
  return bytes;
}
/** By long division, so that the other way of doing it is checked by something else. */
function crc32c(bytes: Uint8Array): number {
  let bits = '';
  for (const octet of bytes) bits += [...octet.toString(2).padStart(8, '0')].reverse().join('');
  const message = [...`${bits}${'0'.repeat(32)}`].map(Number);
  for (let i = 0; i < 32; i++) message[i]! ^= 1;
  const divisor = [1, ...(0x1edc6f41).toString(2).padStart(32, '0').split('').map(Number)];
  for (let i = 0; i + 32 < message.length; i++) {
    if (message[i] === 1) for (let j = 0; j < 33; j++) message[i + j]! ^= divisor[j]!;
  }
  const remainder = message.slice(-32).map((bit) => bit ^ 1);
  return Number.parseInt(remainder.reverse().join(''), 2) >>> 0;
}

describe('a PROXY header', () => {
  test('says who connected, over IPv4 and IPv6', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.uint8Array({ minLength: 36, maxLength: 36 }), (isIpv4, list) => {
        const size = isIpv4 ? 4 : 16;
        const rest = [...list.slice(0, 2 * size + 4)];
        const source = {
          address: addressOf(list.slice(0, size)),
          port: (list[2 * size]! << 8) | list[2 * size + 1]!,
        };
        value(header(0x21, isIpv4 ? 0x11 : 0x21, rest), source);
      }),
      { numRuns: 30 },
    );
  });
  test('says nobody where the balancer speaks for itself, or does not know', () => {
    value(header(0x20, 0x00, []), null);
    value(header(0x20, 0x99, [1, 2, 3]), null);
    value(header(0x21, 0x00, []), null);
    value(header(0x21, 0x31, new Array(216).fill(0)), null);
  });
  test('may have extensions, whose checksum must be right', () => {
    const source = { address: addressOf(Uint8Array.of(192, 0, 2, 7)), port: 12_345 };
    value(header(0x21, 0x11, [...IPV4, 4, 0, 2, 9, 9]), source);
    const checked = withChecksum(0x11, [...IPV4, 4, 0, 0]);
    value(checked, source);
    const ITS_TYPE = checked.length - 7; // with another one, there is no checksum
    for (let at = 16; at < checked.length; at++) {
      if (at === ITS_TYPE) continue;
      const wrong = Uint8Array.from(checked);
      wrong[at]! ^= 1;
      expect([at, parse(wrong).state]).toEqual([at, 'malformed']);
    }
  });
  for (const [what, bytes] of [
    ['of version 1', octets('PROXY TCP4 192.0.2.7 198.51.100.9 12345 443\r\n')],
    ['of another version', header(0x31, 0x11, IPV4)],
    ['with an unknown command', header(0x22, 0x11, IPV4)],
    ['of a datagram', header(0x21, 0x12, IPV4)],
    ['of an unknown family', header(0x21, 0x41, IPV4)],
    ['that is too short for its addresses', header(0x21, 0x21, IPV4)],
    ['with an extension that is cut off', header(0x21, 0x11, [...IPV4, 4, 0, 9, 1])],
    ['with half an extension', header(0x21, 0x11, [...IPV4, 4])],
    ['with two checksums', header(0x21, 0x11, [...IPV4, 3, 0, 4, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0])],
    ['that is very long', header(0x21, 0x11, [...IPV4, 4, 0x0f, 0xff, ...new Array(0xfff).fill(0)])],
  ] as const)
    test(`${what} is malformed`, () => expect(parse(bytes).state).toBe('malformed'));

  test('has the same answer however it is split, and tells where it ends', () => {
    const good = fc.constantFrom(
      header(0x21, 0x11, IPV4),
      header(0x20, 0, []),
      withChecksum(0x11, [...IPV4]),
    );
    const change = fc.tuple(fc.nat(60), fc.option(fc.nat(255)));
    fc.assert(
      fc.property(good, fc.array(change, { maxLength: 3 }), fc.uint8Array(), (start, changes, after) => {
        parse(Uint8Array.from([...mutate(start, changes), ...after]));
      }),
      { numRuns: 300 },
    );
  });
});
