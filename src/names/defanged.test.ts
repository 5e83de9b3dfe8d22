import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { defanged, refanged } from './defanged.ts';
import { parseHost } from './host.ts';

test('names, addresses and URLs no longer look like any', () => {
  expect(defanged('evil.test')).toBe('evil[.]test');
  expect(defanged('https://evil.test:8080')).toBe('https[:]//evil[.]test[:]8080');
  expect(defanged('2001:db8::1')).toBe('2001[:]db8[:][:]1');
  expect(defanged('ceo@company.com')).toBe('ceo[@]company[.]com');
  expect(defanged('evil。test')).toBe('evil[.]test');
  expect(defanged('It is over. Truly: yes.')).toBe('It is over. Truly: yes.');
  expect(defanged('a\u202eb\n')).toBe('a\\u{202e}b\\n');
});

test('every host comes back as it was', () => {
  fc.assert(
    fc.property(fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6()), (host) => {
      expect(refanged(defanged(host))).toBe(host);
      expect(parseHost(defanged(host))).toBeNull();
    }),
  );
});
