import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Filter } from '../../policy/alerts/condition.ts';
import { matcherOf } from '../../policy/alerts/match.ts';
import { Fact } from './fact.ts';
import { Routes } from './routes.ts';
import { MOST_GROUPS, Series } from './series.ts';

const names = ['example.com', 'a.example.com', 'b.a.example.com', 'x.tk', 'tk', 'localhost'];
const hosts = [...names, '(example.com)', '(other)', '10.1.2.3', '10.9.9.9', '2001:db8::1'];
const patterns = ['*.example.com', '*.a.example.com', '*.tk', 'x.tk', 'example.com'];
const some = <T>(values: readonly T[]) =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 });

const filter: fc.Arbitrary<Filter> = fc.oneof(
  some(['bot', 'ci']).map((values) => ({ field: 'agent', test: 'equals', values }) as const),
  some(['no-rule', 'denied'] as const).map(
    (values) => ({ field: 'reason', test: 'equals', values }) as const,
  ),
  some([...names, '10.1.2.3']).map((values) => ({ field: 'host', test: 'equals', values }) as const),
  some([...patterns, '10.0.0.0/8', '2001:db8::/32', '10.1.2.3']).map(
    (values) => ({ field: 'host', test: 'matches', values }) as const,
  ),
  some(patterns).map((values) => ({ field: 'domain', test: 'matches', values }) as const),
  some(names.slice(0, 4)).map((values) => ({ field: 'domain', test: 'equals', values }) as const),
);

test('a fact finds each series whose filters hold for it, once, and no other', () => {
  const filters = fc.array(fc.array(filter, { maxLength: 3 }), { maxLength: 8 });
  const fact = fc.record({
    agent: fc.constantFrom('bot', 'ci', 'other'),
    host: fc.constantFrom(...hosts, null),
    reason: fc.constantFrom('no-rule', 'denied', null),
  });
  fc.assert(
    fc.property(filters, fc.array(fact, { maxLength: 10 }), (wheres, facts) => {
      const routes = new Routes();
      const all = wheres.map((where) => new Series('requests', where, [], null));
      for (const series of all) routes.add(series);
      for (const each of facts) {
        const found: Series[] = [];
        routes.find(new Fact().set(0, each.agent, each.host, each.reason, null), (series) =>
          found.push(series),
        );
        const expected = all.filter(({ where }) => matcherOf(where)(each));
        expect(new Set(found)).toEqual(new Set(expected));
        expect(found.length).toBe(expected.length);
      }
    }),
    { numRuns: 1_000 },
  );
});

test('a million hosts take no more room than a few thousand, and hide none with which much happens', () => {
  const series = new Series('blocked_requests', [], ['host'], null);
  series.remember(3_600_000);
  const fact = new Fact();
  const start = 1_700_000_000_000;
  for (let n = 0; n < 1_000_000; n++) {
    const time = start + n;
    series.add(fact.set(time, 'bot', `h${n}.example`, 'no-rule', null), 1, time);
    if (n % 1_000 === 0) series.add(fact.set(time, 'bot', 'busy.example', 'no-rule', null), 1, time);
    if (n % 10_000 === 0) for (const tally of series.changed.splice(0)) tally.isChanged = false;
    if (n % 100_000 === 0) expect(series.tallies.size).toBeLessThanOrEqual(MOST_GROUPS);
  }
  expect(series.tallies.get('busy.example')?.total).toBe(1_000);
}, 30_000);
