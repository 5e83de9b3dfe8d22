import { describe, expect, test } from 'bun:test';
import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { addressOf, parseAddress } from './address.ts';

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
/** Octets with many zeros, so that every place and length of `::` comes up. */
const sparse = fc
  .array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 })
  .map((bytes) => Uint8Array.from(bytes));
const almostAddress = fc
  .array(fc.constantFrom(':', ':', '::', '.', '0', '00', '1', 'ff', 'F', '255', '256', '12345', '1.2.3.4'))
  .map((parts) => parts.join(''));

describe('parseAddress', () => {
  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8::00FF', '2001:db8::ff'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::ffff:7f00:1', '::ffff:127.0.0.1'],
    ['::127.0.0.1', '::7f00:1'],
    ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
  ])('reads %s as %s', (text, canonical) => {
    expect(parseAddress(text)?.text).toBe(canonical);
  });

  test.each([
    ...['', '1', '1.2.3', '1.2.3.4.5', '1.2.3.4.', '.1.2.3.4', '1..3.4', '01.2.3.4', '1.2.3.00', '256.1.1.1'],
    ...['1.2.3.0x4', '1.2.3.4 ', ' 1.2.3.4', '+1.2.3.4', '1e0.0.0.1', '٣.1.1.1', '1.2.3.4\0', '1.2.3.4/32'],
    ...[
      ':',
      ':::',
      '1::2::3',
      ':1::',
      '1:',
      '::1:',
      '12345::',
      '::g',
      '1:2:3:4:5:6:7:8:9',
      '1:2:3:4:5:6:7:8::',
    ],
    ...['::1.2.3', '::1.2.3.04', '1.2.3.4::', '::1.2.3.4:5', '1:2:3:4:5:6:7:1.2.3.4', '::ffff:1.2.3.4.5'],
    ...['[::1]', '::1%lo', '::1%25lo', 'fe80::1%x.example.com', '::1/128', '::1 ', '::１'],
  ])('refuses %p', (text) => {
    expect(parseAddress(text)).toBeNull();
  });

  test('accepts what the system accepts, and nothing else', () => {
    fc.assert(
      fc.property(almostAddress, (text) => {
        const family = isIPv4(text) ? 4 : isIPv6(text) ? 6 : undefined;
        expect(parseAddress(text)?.family).toBe(family as never);
      }),
      { numRuns: 3_000 },
    );
  });

  test('reads back every address it writes', () => {
    fc.assert(
      fc.property(fc.oneof(octets(4), octets(16), sparse), (bytes) => {
        const address = addressOf(bytes);
        expect(parseAddress(address.text)).toEqual(address);
      }),
      { numRuns: 2_000 },
    );
  });

  test('writes IPv6 as a URL does, but for mapped addresses', () => {
    fc.assert(
      fc.property(fc.oneof(octets(16), sparse), (bytes) => {
        const { text } = addressOf(bytes);
        fc.pre(!text.includes('.'));
        expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
      }),
      { numRuns: 2_000 },
    );
  });

  test('keeps no hold on the octets it was given', () => {
    const bytes = Uint8Array.of(10, 0, 0, 1);
    const address = addressOf(bytes);
    bytes[0] = 8;
    expect(address).toEqual(parseAddress('10.0.0.1')!);
  });
});
