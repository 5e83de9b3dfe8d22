import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { addressOf, parseAddress } from './address.ts';
import { type AddressClass, classOf } from './addressclass.ts';

const classOfText = (text: string) => classOf(parseAddress(text)!);
const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 });

/** The first and last address of every special range, and their neighbours outside. */
const EDGES: ReadonlyArray<[AddressClass, string]> = [
  ['unspecified', '0.0.0.0 0.255.255.255 ::'],
  ['private', '10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255 fec0::1'],
  ['shared', '100.64.0.0 100.127.255.255'],
  ['loopback', '127.0.0.0 127.0.0.1 127.255.255.255 ::1'],
  ['link-local', '169.254.0.0 169.254.255.255 fe80:: febf:ffff::'],
  ['unique-local', 'fc00:: fdff:ffff::'],
  ['benchmark', '198.18.0.0 198.19.255.255 2001:2::1'],
  ['multicast', '224.0.0.0 239.255.255.255 ff00:: ff02::1'],
  ['broadcast', '255.255.255.255'],
  [
    'reserved',
    '240.0.0.0 255.255.255.254 192.0.0.1 192.88.99.1 100::1 2001:10::1 2001:20::1 4000:: 5f00::1 64:ff9b:2::1',
  ],
  [
    'public',
    '1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255',
  ],
  [
    'public',
    '169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255',
  ],
  [
    'public',
    '192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 3fff::1 2606:4700:4700::1111 2001:4860:4860::8888',
  ],
  ['metadata', '169.254.169.254 169.254.170.2 169.254.170.23 168.63.129.16 192.0.0.192 100.100.100.200'],
  ['metadata', 'fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fe80::a9fe:a9fe'],
];

describe('classOf', () => {
  for (const [addressClass, texts] of EDGES)
    test(`finds ${addressClass}: ${texts}`, () => {
      for (const text of texts.split(' ')) expect([text, classOfText(text)]).toEqual([text, addressClass]);
    });

  test('agrees with another implementation on what is public in IPv4', () => {
    const documentation = /^(192\.0\.2|198\.51\.100|203\.0\.113)\./;
    fc.assert(
      fc.property(ipv4, (bytes) => {
        const address = addressOf(bytes);
        fc.pre(!documentation.test(address.text) && classOf(address) !== 'metadata');
        const range = ipaddr.fromByteArray([...bytes]).range();
        expect(classOf(address) === 'public').toBe(['unicast', 'as112', 'amt'].includes(range));
      }),
      { numRuns: 3_000 },
    );
  });

  const hex = (text: string) => {
    const [a, b, c, d] = parseAddress(text)!.bytes as unknown as [number, number, number, number];
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  };
  const inverted = (text: string) => addressOf(parseAddress(text)!.bytes.map((octet) => octet ^ 0xff)).text;
  /** Every form of IPv6 that leads to an IPv4 address. */
  const FORMS: Record<string, (text: string) => string> = {
    mapped: (text) => `::ffff:${text}`,
    'mapped in hexadecimal': (text) => `::ffff:${hex(text)}`,
    translated: (text) => `::ffff:0:${text}`,
    compatible: (text) => `::${text}`,
    NAT64: (text) => `64:ff9b::${text}`,
    'local NAT64': (text) => `64:ff9b:1::${text}`,
    '6to4': (text) => `2002:${hex(text)}::1`,
    'Teredo server': (text) => `2001:0:${hex(text)}:8000:63bf:3fff:fdd2`,
    'Teredo client': (text) => `2001:0:808:808:8000:63bf:${hex(inverted(text))}`,
    ISATAP: (text) => `2606:4700::5efe:${text}`,
    'ISATAP, globally unique': (text) => `2606:4700::200:5efe:${text}`,
  };
  const PRIVATE: ReadonlyArray<[string, AddressClass]> = [
    ['127.0.0.1', 'loopback'],
    ['10.1.2.3', 'private'],
    ['169.254.169.254', 'metadata'],
    ['168.63.129.16', 'metadata'],
    ['198.18.0.1', 'benchmark'],
    ['255.255.255.255', 'broadcast'],
  ];
  for (const [form, embed] of Object.entries(FORMS))
    test(`sees through ${form}`, () => {
      for (const [text, addressClass] of PRIVATE) {
        const spelled = embed(text);
        expect([spelled, classOfText(spelled)]).toEqual([spelled, addressClass]);
      }
    });

  test('has no second spelling for a public IPv4 address, but for NAT64', () => {
    for (const form of ['mapped', 'translated', 'compatible', '6to4', 'Teredo server', 'local NAT64'])
      expect(classOfText(FORMS[form]!('93.184.215.14'))).not.toBe('public');
    expect(classOfText('64:ff9b::93.184.215.14')).toBe('public');
    expect(classOfText('2606:4700::5efe:93.184.215.14')).toBe('public');
  });

  test('refuses local NAT64 in every layout of its prefix', () => {
    // 127.0.0.1 after /48, /56 and /64 (RFC 6052 section 2.2).
    for (const text of ['64:ff9b:1:7f00:0:100::', '64:ff9b:1:7f:0:1::', '64:ff9b:1:0:7f:0:100::'])
      expect(classOfText(text)).not.toBe('public');
  });

  test('calls nothing public that lies outside 2000::/3 and the NAT64 prefix', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        fc.pre((bytes[0]! & 0xe0) !== 0x20);
        expect(classOf(addressOf(bytes))).not.toBe('public');
      }),
    );
  });
});
