import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { addressOf, parseAddress } from './address.ts';
import { parseRange, rangeContains, rangeText } from './range.ts';

const octets = fc
  .constantFrom(4, 16)
  .chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));

describe('parseRange', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7/32', '203.0.113.7'],
    ['203.0.113.0/24', '203.0.113.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:DB8::/32', '2001:db8::/32'],
    ['::1/128', '::1'],
    ['2001:db8::8000:0/97', '2001:db8::8000:0/97'],
  ])('reads %s as %s', (text, canonical) => {
    expect(rangeText(parseRange(text)!)).toBe(canonical);
  });

  test.each([
    ...['', '/', '10.0.0.0/', '/8', '10.0.0.0/33', '::/129', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/8.0'],
    ...['10.0.0.0/1e1', '10.0.0.0/ 8', '10.0.0.0/8/8', '10/8', '10.0.0.0/255.0.0.0', 'fe80::%1/64', '[::]/0'],
  ])('refuses %p', (text) => {
    expect(parseRange(text)).toBeNull();
  });

  test.each(['10.0.0.1/8', '2001:db8::1/64', '128.0.0.0/0'])('refuses the host bits of %s', (text) => {
    expect(parseRange(text)).toBeNull();
  });
});

describe('rangeContains', () => {
  test('agrees with another implementation', () => {
    const cases = octets.chain((bytes) =>
      fc.tuple(fc.constant(bytes), fc.nat(bytes.length * 8), fc.nat(bytes.length * 8 - 1)),
    );
    fc.assert(
      fc.property(cases, ([bytes, bits, flipped]) => {
        const first = bytes.map((octet, i) => octet & (0xff00 >> Math.min(8, Math.max(0, bits - 8 * i))));
        const other = bytes.map((octet, i) => octet ^ (i === flipped >> 3 ? 0x80 >> (flipped & 7) : 0));
        const range = parseRange(`${addressOf(first).text}/${bits}`)!;
        const oracle = ipaddr.fromByteArray([...other]);
        const network = ipaddr.fromByteArray([...first]);
        expect(rangeContains(range, addressOf(bytes))).toBeTrue();
        expect(rangeContains(range, addressOf(other))).toBe(
          oracle.match(network as ipaddr.IPv4 & ipaddr.IPv6, bits),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  test('never holds an address of the other family', () => {
    expect(rangeContains(parseRange('0.0.0.0/0')!, parseAddress('::1')!)).toBeFalse();
    expect(rangeContains(parseRange('::/0')!, parseAddress('127.0.0.1')!)).toBeFalse();
  });
});
