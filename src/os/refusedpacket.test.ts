import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { destinationOf } from './refusedpacket.ts';

/** An IPv4 packet to 192.0.2.1, with `options` four-byte words of options. */
function ipv4(protocol: number, transport: number[], { options = 0, fragment = 0 } = {}): Uint8Array {
  const head = Buffer.alloc(20 + 4 * options);
  head[0] = 0x40 | (5 + options);
  head.writeUInt16BE(fragment, 6);
  head[9] = protocol;
  head.set([192, 0, 2, 1], 16);
  return Buffer.concat([head, Buffer.from(transport)]);
}

function ipv6(next: number, rest: number[]): Uint8Array {
  const head = Buffer.alloc(40);
  head[0] = 0x60;
  head[6] = next;
  head.set([0x20, 0x01], 24);
  head[39] = 9;
  return Buffer.concat([head, Buffer.from(rest)]);
}

const PORTS = [0x12, 0x34, 0x01, 0xbb];

test('the port follows the header, options included', () => {
  for (const options of [0, 1, 10])
    expect(destinationOf(ipv4(17, PORTS, { options }))).toEqual({
      protocol: 17,
      address: Uint8Array.of(192, 0, 2, 1),
      port: 443,
    });
});

test('a later fragment and a protocol without ports have none', () => {
  expect(destinationOf(ipv4(17, PORTS, { fragment: 1 })).port).toBeNull();
  expect(destinationOf(ipv4(17, PORTS, { fragment: 0x2000 })).port).toBe(443);
  expect(destinationOf(ipv4(1, PORTS)).port).toBeNull();
  expect(destinationOf(ipv4(17, PORTS.slice(0, 3))).port).toBeNull();
});

test('the extension headers of IPv6 are passed over', () => {
  const hopByHop = [44, 0, 0, 0, 0, 0, 0, 0];
  const fragment = [17, 0, 0, 0, 0, 0, 0, 0];
  const seen = destinationOf(ipv6(0, [...hopByHop, ...fragment, ...PORTS]));
  expect(seen.protocol).toBe(17);
  expect(seen.port).toBe(443);
  expect([...seen.address.slice(0, 2), seen.address[15]]).toEqual([0x20, 0x01, 9]);
});

test('any bytes have an answer', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const { address, port } = destinationOf(bytes);
      return [0, 4, 16].includes(address.length) && (port === null || (port >= 0 && port <= 65_535));
    }),
  );
  const withVersion = fc
    .tuple(fc.constantFrom(0x45, 0x4f, 0x60), fc.uint8Array({ minLength: 30, maxLength: 128 }))
    .map(([first, rest]) => Uint8Array.of(first, ...rest));
  fc.assert(
    fc.property(withVersion, (bytes) => destinationOf(bytes).address.length > 0 || bytes.length < 40),
  );
});
