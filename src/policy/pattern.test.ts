import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { tooBroad } from './breadth.ts';
import { bracketed, patternOf, readPattern } from './pattern.ts';

const read = (text: string) => {
  const result = readPattern(text);
  return result.ok ? result.pattern.text : `${result.message}. ${result.fix ?? ''}`;
};

describe('the host of a rule', () => {
  test('is read like a host on the wire: letter case and one trailing dot do not matter', () => {
    for (const [text, canonical] of [
      ['API.GitHub.COM.', 'api.github.com'],
      ['_dmarc.example.com', '_dmarc.example.com'],
      ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
      ['*.Example.COM', '*.example.com'],
      ['*', '*'],
      ['203.0.113.7', '203.0.113.7'],
      ['203.0.113.7/32', '203.0.113.7'],
      ['203.0.113.0/24', '203.0.113.0/24'],
      ['[2001:DB8::1]', '2001:db8::1'],
      ['2001:db8::1', '2001:db8::1'],
      ['2001:db8::/32', '2001:db8::/32'],
      ['localhost', 'localhost'],
    ] as const)
      expect(read(text)).toBe(canonical);
  });

  /** What people write, and what the answer has to contain. */
  const REFUSED: ReadonlyArray<[text: string, ...answer: string[]]> = [
    ['', 'empty'],
    ['https://x.com/path', 'URL', 'Write x.com'],
    ['http://x.com:8080', 'URL', '8080'],
    ['https://', 'URL'],
    ['x.com/path', 'no path', 'Write x.com'],
    ['x.com?q=1', 'no path', 'Write x.com'],
    ['x.com#y', 'no path', 'Write x.com'],
    ['evil.test\\.allowed.test', 'no path'],
    ['user:pass@x.com', 'user name', 'Write x.com'],
    ['@group', 'no groups'],
    ['x.com:8443', 'port', '--port 8443'],
    ['x.com:99999', '1 to 65535', 'Write x.com'],
    ['x.com:', '1 to 65535'],
    ['[2001:db8::1]:443', 'port', '--port 443'],
    ['2001:db8::1:443', 'could be', '[2001:db8::1:443]', '--port 443'],
    ['bücher.example', 'ASCII', 'xn--bcher-kva.example'],
    ['ＥＸＡＭＰＬＥ.com', 'ASCII', 'example.com'],
    ['k\u212a.test', 'ASCII'],
    ['evil。test', 'ASCII'],
    ['a%2eb.com', 'decoded'],
    ['fe80::1%eth0', 'decoded'],
    ['a b.com', 'spaces'],
    ['a.com\n', 'spaces', 'Write a.com'],
    ['a\0.com', 'control'],
    ['a;b.com', "';'"],
    ['[allowed.test]', 'brackets', 'Write allowed.test'],
    ['.example.com', 'dot', 'Write *.example.com'],
    ['a..b', 'empty', 'Write a.b'],
    ['-a.com', 'hyphen'],
    ['a-.com', 'hyphen'],
    ['xn--evil-.test', 'ASCII form'],
    [`${'a'.repeat(64)}.com`, '63'],
    [`${'a.'.repeat(130)}com`, '253'],
    ['a'.repeat(2_000), 'too long'],
    ['127.1', 'canonical'],
    ['0x7f000001', 'canonical'],
    ['017700000001', 'canonical'],
    ['1.2.3', 'canonical'],
    ['0xA9.254.0251.0376', 'canonical'],
    ['127.0.0.1.', 'canonical'],
    ['256.1.1.1', 'canonical'],
    ['10.0.0.1/8', 'bits', 'Write 10.0.0.0/8'],
    ['2001:db8::1/32', 'bits', 'Write 2001:db8::/32'],
    ['10.0.0.0/33', '0 to 32'],
    ['**', 'not a pattern', "'*'"],
    ['*.*', 'not a pattern'],
    ['api.*', 'leading *.'],
    ['a.*.com', 'leading *.'],
    ['*x.com', 'leading *.', '*.x.com'],
    ['*.*.x.com', 'only one', '*.x.com'],
    ['*.1', 'addresses have no wildcards'],
    ['*.127.0.0.1', 'addresses have no wildcards'],
    ['10.0.*.*', 'leading *.'],
    ['*.https://x.com', 'URL'],
  ];

  for (const [text, ...answer] of REFUSED)
    test(`is refused with its right spelling: ${JSON.stringify(text.slice(0, 40))}`, () => {
      expect(readPattern(text).ok).toBe(false);
      for (const part of answer) expect(read(text)).toContain(part);
    });

  test('is read or refused, whatever the text, and once read means the same again', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^[a-z0-9.*:/@[\]%-]{0,30}$/),
      fc.domain(),
      fc.ipV4(),
      fc.ipV6(),
    );
    fc.assert(
      fc.property(text, (text) => {
        const result = readPattern(text);
        if (result.ok) expect(patternOf(result.pattern.text)).toEqual(result.pattern);
        else expect(result.message).not.toBe('');
      }),
      { numRuns: 5_000 },
    );
  });

  test('is bracketed where an IPv6 address is typed', () => {
    expect(bracketed('2001:db8::1:443')).toBe('[2001:db8::1:443]');
    expect(bracketed('10.0.0.1')).toBe('10.0.0.1');
    expect(bracketed('2001:db8::/32')).toBe('2001:db8::/32');
  });
});

describe('a rule is too broad', () => {
  const broad = (text: string) => {
    const result = readPattern(text);
    return result.ok && tooBroad(result.pattern) !== null;
  };

  test('on everything, on public suffixes and on all addresses', () => {
    for (const text of [
      '*',
      '*.com',
      '*.co.uk',
      '*.github.io',
      '*.s3.amazonaws.com',
      '*.test',
      '0.0.0.0/0',
      '::/0',
    ])
      expect(broad(text)).toBe(true);
  });

  test('on nothing narrower', () => {
    for (const text of [
      'com',
      'github.io',
      '*.example.com',
      '*.alice.github.io',
      '*.internal.company.com',
      '10.0.0.0/8',
    ])
      expect(broad(text)).toBe(false);
  });
});
