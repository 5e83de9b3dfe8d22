import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { lookalikeIndex, lookalikeOf } from './lookalike.ts';

const index = lookalikeIndex([
  'github.com',
  'api.github.com',
  'debian.org',
  '*.example-corp.co.uk',
  'x.ai',
  '203.0.113.7',
  '*',
]);

describe('lookalikeOf', () => {
  test.each([
    ['githb.com', 'omission', 'github.com'],
    ['giithub.com', 'repetition', 'github.com'],
    ['gihtub.com', 'transposition', 'github.com'],
    ['githuv.com', 'keyboard', 'github.com'],
    ['cithub.com', 'bitsquat', 'github.com'],
    ['githubs.com', 'insertion', 'github.com'],
    ['debmian.org', 'insertion', 'debian.org'],
    ['g1thub.com', 'homoglyph', 'github.com'],
    ['qithub.net', 'homoglyph', 'github.com'],
    ['xn--gthub-n2e.com', 'idn', 'github.com'],
    ['github.net', 'tld', 'github.com'],
    ['api.github.cc', 'tld', 'api.github.com'],
    ['github-login.com', 'affix', 'github.com'],
    ['my-github-login-2.com', 'affix', 'github.com'],
    ['securegithub.net', 'affix', 'github.com'],
    ['api.auth-github.com', 'affix', 'api.github.com'],
    ['git-hub.com', 'hyphenated', 'github.com'],
    ['apigithub.com', 'hyphenated', 'api.github.com'],
    ['api-github.com', 'hyphenated', 'api.github.com'],
    ['github-com.attacker.net', 'hyphenated', 'github.com'],
    ['api-github-com.attacker.net', 'hyphenated', 'api.github.com'],
    ['github.com.evil.io', 'subdomain', 'github.com'],
    ['login.api.github.com.evil.io', 'subdomain', 'api.github.com'],
    ['www.examplecorp.co.uk', 'hyphenated', 'example-corp.co.uk'],
    ['github.io', 'tld', 'github.com'],
  ])('%s imitates by %s', (name, kind, of) => {
    expect(lookalikeOf(index, name)).toEqual({ kind, of });
  });

  test('passes over what is allowed, belongs to the same owner or resembles nothing', () => {
    const names =
      'github.com api.github.com gist.github.com www.debian.org alice.github.io gitlab.com example.com x.com co.uk com localhost';
    for (const name of names.split(' ')) expect([name, lookalikeOf(index, name)]).toEqual([name, null]);
  });

  test('knows names of platforms, and leaves their other names alone', () => {
    const platforms = lookalikeIndex([
      'raw.githubusercontent.com',
      'alice.github.io',
      'my-bucket.s3.amazonaws.com',
    ]);
    const of = (name: string) => lookalikeOf(platforms, name)?.of ?? null;
    expect(of('raw.githubusercontents.com')).toBe('raw.githubusercontent.com');
    expect(of('raw.githubuserc0ntent.com')).toBe('raw.githubusercontent.com');
    expect(of('x.githup.io')).toBe('alice.github.io');
    expect(of('my-bucket.s3.amazonavvs.com')).toBe('my-bucket.s3.amazonaws.com');
    expect(of('alicee.github.io')).toBe('alice.github.io');
    for (const name of [
      'bob.github.io',
      'github.io',
      'github.com',
      'other.s3.amazonaws.com',
      'githubusercontent.com',
    ])
      expect([name, of(name)]).toEqual([name, null]);
  });

  test('takes a slip for one only under the same top-level name, and short names only where nothing else differs', () => {
    const short = lookalikeIndex(['hf.co', 'github.com']);
    const of = (name: string) => lookalikeOf(short, name)?.kind ?? null;
    expect(of('githb.com')).toBe('omission');
    expect(of('githb.org')).toBe(null);
    expect(of('hf-login.co')).toBe('affix');
    expect(of('hf.co.evil.io')).toBe('subdomain');
    expect(of('xn--f-50b.co')).toBe('idn');
    for (const name of ['hf.org', 'hg.co', 'hff.co', 'hf-login.com'])
      expect([name, of(name)]).toEqual([name, null]);
  });

  test('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (allowed, name) => {
        lookalikeOf(lookalikeIndex([allowed]), name);
      }),
    );
  });
});
