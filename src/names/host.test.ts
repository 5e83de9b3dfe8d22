import { describe, expect, test } from 'bun:test';
import { isIP } from 'node:net';
import punycode from 'node:punycode';
import fc from 'fast-check';
import { authority, hostText, parseHost, spellsAddress } from './host.ts';

const textOf = (text: string) => {
  const host = parseHost(text);
  return host && hostText(host);
};
/** Text that is nearly a host: pieces that some parser treats in its own way. */
const pieces =
  '. - _ : [ ] % @ / 0x 0 127 1 xn-- a Z com %2e * # \0 \u3002 \uff0e \u00ad \u212a \uff11 \t \r\n'.split(
    ' ',
  );
const almostHost = fc
  .array(fc.oneof(fc.constantFrom(...pieces, ' '), fc.string({ maxLength: 3 })), { maxLength: 8 })
  .map((parts) => parts.join(''));

describe('parseHost reads names', () => {
  test.each([
    ['api.example.com', 'api.example.com'],
    ['API.GitHub.COM.', 'api.github.com'],
    ['localhost', 'localhost'],
    ['_dmarc.example.com', '_dmarc.example.com'],
    ['r3---sn-4g5e6nsz.example.com', 'r3---sn-4g5e6nsz.example.com'],
    ['127.0.0.1.nip.io', '127.0.0.1.nip.io'],
    ['1.2.3.4a', '1.2.3.4a'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['XN--BCHER-KVA.Example', 'xn--bcher-kva.example'],
    ['xn--fiqs8s', 'xn--fiqs8s'],
    ['xn--i-7iq.ws', 'xn--i-7iq.ws'],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
    [`${'a.'.repeat(126)}b`, `${'a.'.repeat(126)}b`],
    [`${'a.'.repeat(126)}b.`, `${'a.'.repeat(126)}b`],
  ])('%s', (text, name) => {
    expect(parseHost(text)).toEqual({ kind: 'name', name });
  });
});

describe('parseHost reads addresses', () => {
  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
    ['[::1]', '::1'],
    ['[2001:DB8:0::1]', '2001:db8::1'],
    ['[::FFFF:7f00:1]', '::ffff:127.0.0.1'],
  ])('%s', (text, address) => {
    expect(parseHost(text)).toMatchObject({ kind: 'address', address: { text: address } });
  });
});

describe('parseHost refuses', () => {
  const REFUSED: Record<string, string> = {
    'decimal, octal and hexadecimal numbers':
      '2130706433 017700000001 0x7f000001 0X7F000001 0 0x 4294967296 0x.',
    'short and padded quads': '127.1 127.0.1 1.2.3 0177.0.0.1 127.0.0.01 127.000.000.001 00000127.0.0.1 1.0x',
    'quads of mixed bases': '0x7f.0.0.1 127.0.0.0x1 0xA9.254.0251.0376 0o177.0.0.1 127.0.0.0o1 127.0.0.0b1',
    'quads that are none':
      '256.256.256.256 1.2.3.4.5 127.0.0.1. 127.0.0.1.. .127.0.0.1 127..0.0.1 -127.0.0.1 +127.0.0.1',
    'addresses with ports, prefixes or zones':
      '127.0.0.1:443 [::1]:443 127.0.0.1/8 ::1/128 [::1%lo] [fe80::1%25eth0] ::ffff:1.2.3.4%x.example.com ::1%1',
    'brackets that hold no IPv6 address':
      '[127.0.0.1] [example.com] [::1 ::1] [[::1]] [] [::1]x x[::1] [::1]. [v1.fe80::1] [::ffff:127.1] [::ffff:0177.0.0.1]',
    'ports and users':
      'example.com:443 example.com: user@example.com a:443@b:443 evil.test:443:example.com:443',
    'parts of URLs':
      'https://example.com example.com/ /example.com example.com?x evil.test#.example.com evil.test:443/.example.com',
    'other punctuation':
      'a;b a,b evil.test\\.example.com a&b a=b a+b a!b a\'b a"b a(b) {a} a|b a^b a`b a~b $a <a> @nosuchgroup',
    'wildcards, which only rules have': '* *.example.com api.* a*b.example.com ** ?.example.com',
    'percent codes':
      '%65vil.test evil.test%2eexample.com evil.test%00.example.com 127%2e0.0.1 %31 100% a%2fb',
    'the NUL octet': 'evil.test\0.example.com 127.0.0.1\0.example.com \0 example.com\0',
    'dots of other scripts':
      'evil\u3002test evil\uff0etest evil\uff61test 127\u30020\u30020\u30021 \u2488example.com',
    'letters that fold to ASCII':
      '\u212a.test \uff45\uff56\uff49\uff4c.test \u24d4\u24e5\u24d8\u24db.test evil.te\u017ft \ufb01.test \u{1d41e}vil.test',
    'digits that fold to ASCII': '\uff11\uff12\uff17.0.0.1 \u0661.0.0.1 \u2460 127.0.0.\u00b9',
    'invisible characters':
      'ev\u00adil.test evi\u200dl.test e\u200bvil.test \u202eevil.test \u2060evil.test \ufeffevil.test',
    'any other letter':
      'b\u00fccher.example \u0435vil.test fa\u00df.example e\u0301.test \ud800.test \u0130.test \xff.test',
    'empty labels': '. .. .example.com a..b example.com.. ...',
    'hyphens at the edge of a label': '-a.com a-.com a.-b a.b- - a-. xn---',
    'A-labels that are not Punycode':
      'xn-- xn--.com xn--a xn--99999999 xn--zzzzzzzz99999 www.xn--a.com xn--\u00fc',
    'A-labels of plain ASCII': 'xn--evil-.test xn--evil.test- xn--a- www.xn--evil- XN--EVIL-.test',
  };
  for (const [what, texts] of Object.entries(REFUSED))
    test(what, () => {
      for (const text of texts.split(' ')) expect([text, textOf(text)]).toEqual([text, null]);
    });

  test('spaces and control characters', () => {
    const texts = ['', ' ', ' example.com', 'example.com ', 'exam ple.com', '\texample.com', 'example.com\n'];
    texts.push(
      'a\r\nb',
      'x\r\nX-Injected: 1\r\n.example.com',
      'a\x7fb',
      'a\x1bb',
      'a\x80b',
      'a\xa0b',
      'a\u2028b',
    );
    for (const text of texts) expect([text, textOf(text)]).toEqual([text, null]);
  });

  test('labels and names that are too long', () => {
    const label = 'a'.repeat(64);
    for (const text of [
      label,
      `${label}.example`,
      `example.${label}`,
      `${'a.'.repeat(127)}b`,
      'a'.repeat(99_999),
    ])
      expect(parseHost(text)).toBeNull();
  });

  test('A-labels of letters that other software folds, hides or reorders', () => {
    for (const letters of '\u212a \uff45 \u24d4 \u00ad \u3002 \uff0e \u200d \u202e \ue000 \u00dc \ufb01 \u0301 \u2044'.split(
      ' ',
    )) {
      const text = `xn--${punycode.encode(`${letters}vil`)}.test`;
      expect([letters, textOf(text)]).toEqual([letters, null]);
    }
  });
});

describe('parseHost', () => {
  test('never throws, and reads its own text back as the same host', () => {
    fc.assert(
      fc.property(fc.oneof(almostHost, fc.string({ unit: 'binary' })), (text) => {
        const host = parseHost(text);
        if (host !== null) expect(parseHost(hostText(host))).toEqual(host);
      }),
      { numRuns: 5_000 },
    );
  });

  test('says the same of every letter case and of one trailing dot', () => {
    fc.assert(
      fc.property(almostHost, (text) => {
        fc.pre(/^[\x20-\x7e]*$/.test(text));
        expect(textOf(text.toUpperCase())).toBe(textOf(text.toLowerCase()));
        const host = parseHost(text);
        if (host?.kind === 'name' && !text.endsWith('.')) expect(parseHost(`${text}.`)).toEqual(host);
      }),
      { numRuns: 3_000 },
    );
  });

  test('reads no name that a URL or the system takes for anything else', () => {
    const names = fc
      .array(fc.constantFrom('0', '1', '127', '.', '.', '0x', '08', 'a', '_', '-', 'f', 'xn--', 'kva', 'E'))
      .map((parts) => parts.join(''));
    let read = 0;
    fc.assert(
      fc.property(names, (text) => {
        const host = parseHost(text);
        if (host?.kind !== 'name') return;
        read++;
        expect(isIP(host.name)).toBe(0);
        if (URL.canParse(`http://${host.name}/`))
          expect(new URL(`http://${host.name}/`).hostname).toBe(host.name);
      }),
      { numRuns: 10_000 },
    );
    expect(read).toBeGreaterThan(500);
  });

  test('admits the ASCII form of internationalised names', () => {
    for (const name of 'bücher.example 例え.テスト пример.испытание δοκιμή.gr faß.example مثال.إختبار i❤.ws'.split(
      ' ',
    ))
      expect([name, textOf(new URL(`http://${name}/`).hostname)]).not.toEqual([name, null]);
  });
});

describe('authority', () => {
  test('brackets IPv6 and nothing else', () => {
    expect(authority(parseHost('::1')!, 443)).toBe('[::1]:443');
    expect(authority(parseHost('127.0.0.1')!, 80)).toBe('127.0.0.1:80');
    expect(authority(parseHost('example.com')!, 8080)).toBe('example.com:8080');
  });
});

test('addresses in other spellings are told from what is no host at all', () => {
  for (const text of [
    '017700000001',
    '127.0.0.1.',
    '0xA9.254.0251.0376',
    '127.1',
    '2130706433',
    '0x',
    '1.2.3.0o7',
  ])
    expect([text, spellsAddress(text)]).toEqual([text, true]);
  for (const text of [
    '127.0.0.1',
    'a..1',
    '1..',
    '.1',
    'a b.1',
    '*.1',
    'evil.test',
    '[::1]',
    '1.2.3.4%25x',
    '',
  ])
    expect([text, spellsAddress(text)]).toEqual([text, false]);
});
