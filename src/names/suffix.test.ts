import { describe, expect, test } from 'bun:test';
import { isPublicSuffix, registrableDomain } from './suffix.ts';

describe('isPublicSuffix', () => {
  test.each(
    'com co.uk github.io s3.amazonaws.com blob.core.windows.net compute.amazonaws.com vercel.app xn--fiqs8s nosuchtld'.split(
      ' ',
    ),
  )('%s is one', (name) => {
    expect(isPublicSuffix(name)).toBeTrue();
  });

  test.each(
    'example.com amazonaws.com github.com alice.github.io internal lan localhost _x.example.com'.split(' '),
  )('%s is none', (name) => {
    expect(isPublicSuffix(name)).toBeFalse();
  });
});

describe('registrableDomain', () => {
  test.each([
    ['a.b.example.co.uk', 'example.co.uk'],
    ['x.alice.github.io', 'alice.github.io'],
    ['_dmarc.example.com', 'example.com'],
    ['a.b.evil.test', 'evil.test'],
  ])('of %s is %s', (name, domain) => {
    expect(registrableDomain(name)).toBe(domain);
  });

  test('is null for a suffix itself', () => {
    for (const name of ['com', 'github.io', 'localhost']) expect(registrableDomain(name)).toBeNull();
  });
});
