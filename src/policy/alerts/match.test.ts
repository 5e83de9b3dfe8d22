import { describe, expect, test } from 'bun:test';
import { hostMatcher, matcherOf } from './match.ts';

describe('hosts match', () => {
  test.each([
    ['domain', '*.xyz', 'a.xyz a.b.xyz (a.xyz)', 'xyz a.xyz.com axyz (other)'],
    ['domain', 'evil.com', 'evil.com www.evil.com (evil.com)', 'notevil.com evil.com.au com'],
    ['domain', 'github.io', 'github.io alice.github.io (alice.github.io)', 'github.com'],
    ['host', 'evil.com', 'evil.com', 'www.evil.com'],
    ['host', '*.evil.com', 'www.evil.com a.b.evil.com (evil.com)', 'evil.com'],
    ['host', '10.0.0.0/8', '10.1.2.3', '11.0.0.1 10.example'],
    ['host', '2001:db8::/32', '2001:db8::7', '2001:db9::7'],
  ] as const)('%s %s', (field, pattern, yes, no) => {
    const matches = hostMatcher(field, [pattern]);
    for (const host of yes.split(' ')) expect([host, matches(host)]).toEqual([host, true]);
    for (const host of no.split(' ')) expect([host, matches(host)]).toEqual([host, false]);
  });
});

test('every filter has to hold, by one of its values', () => {
  const matches = matcherOf([
    { field: 'agent', test: 'equals', values: ['a', 'b'] },
    { field: 'reason', test: 'equals', values: ['no-rule'] },
    { field: 'host', test: 'equals', values: ['x.com'] },
  ]);
  expect(matches({ agent: 'b', host: 'x.com', reason: 'no-rule' })).toBe(true);
  expect(matches({ agent: 'c', host: 'x.com', reason: 'no-rule' })).toBe(false);
  expect(matches({ agent: 'b', host: 'www.x.com', reason: 'no-rule' })).toBe(false);
  expect(matches({ agent: 'b', host: 'x.com', reason: null })).toBe(false);
  expect(matches({ agent: 'b', host: null, reason: 'no-rule' })).toBe(false);
  expect(matcherOf([])({ agent: '', host: null, reason: null })).toBe(true);
});
