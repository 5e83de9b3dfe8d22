import { expect, test } from 'bun:test';
import { isUpstream } from './upstream.ts';

test('a resolver is system, an address with or without a port, or a URL', () => {
  for (const text of [
    'system',
    '10.0.0.53',
    '10.0.0.53:5353',
    '2001:db8::53',
    '[2001:db8::53]',
    '[2001:db8::53]:53',
    'https://dns.example/dns-query',
    'https://192.0.2.1/',
  ])
    expect(isUpstream(text)).toBe(true);
});

test('anything else is none', () => {
  for (const text of [
    '',
    'dns.example',
    'http://dns.example/',
    'https://',
    'https://a:b@dns.example/',
    'https://dns.example/#x',
    '10.0.0.53:0',
    '10.0.0.53:65536',
    '300.0.0.1:53',
    '[::1',
    'https://a b/',
  ])
    expect(isUpstream(text)).toBe(false);
});
