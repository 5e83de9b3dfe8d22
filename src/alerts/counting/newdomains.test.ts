import { expect, test } from 'bun:test';
import { UNREAD_HOST } from '../../events/event.ts';
import { Fact } from './fact.ts';
import { NewDomains } from './newdomains.ts';

test('a domain is new once; what could not be read, or stands for any host, never is', () => {
  const domains = new NewDomains();
  const isNew = (host: string) => domains.see(new Fact().set(1, 'bot', host, 'no-rule', null).domain, 1);
  expect(['a.example.com', 'b.example.com', '(example.net)', 'x.example.net'].map(isNew)).toEqual([
    true,
    false,
    true,
    false,
  ]);
  for (const host of [UNREAD_HOST, '(other)']) expect(isNew(host)).toBe(false);
});
