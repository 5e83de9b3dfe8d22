/** What has to hold for every policy and every target, tried on many. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { type Host, isSpecialName, parseHost } from '../names/host.ts';
import { parseRange, rangeContains } from '../names/range.ts';
import { compile } from './compile.ts';
import { decide } from './decide.ts';
import type { Rule, Target } from './decision.ts';
import type { PolicyDocument } from './document.ts';
import { AT, documentOf, NOW, policyOf } from './policy.fixture.ts';
import { rulesOf } from './policy.ts';

/** Few labels, so that rules and targets meet. */
const label = fc.constantFrom('a', 'b', 'x', 'notx', 'evil', 'com');
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const octet = fc.constantFrom(0, 1, 127, 128, 255);
const quad = fc.tuple(fc.constantFrom(10, 203), octet, octet, octet).map((octets) => octets.join('.'));
const range = fc.tuple(quad, fc.constantFrom(0, 8, 9, 24, 31, 32)).map(([text, bits]) => {
  const octets = text.split('.').map(Number);
  const kept = octets.map((octet, i) => octet & (0xff00 >> Math.min(8, Math.max(0, bits - 8 * i))) & 0xff);
  return bits === 32 ? text : `${kept.join('.')}/${bits}`;
});
const agent = fc.constantFrom('ann', 'bot', 'eve');
const port = fc.constantFrom(22, 80, 443);
const host = fc.oneof(
  name,
  name.map((each) => `*.${each}`),
  fc.constant('*'),
  range,
);

const rule: fc.Arbitrary<Rule> = fc
  .record({
    action: fc.constantFrom('allow' as const, 'deny' as const),
    host,
    ports: fc.uniqueArray(port, { maxLength: 2 }),
    agents: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.uniqueArray(agent, { maxLength: 2 })),
    until: fc.constantFrom(null, null, NOW - 1, NOW, NOW + 1),
    note: fc.constantFrom(null, 'ünïcode'),
  })
  .map((made) => ({
    ...made,
    ports: made.action === 'allow' && made.ports.length === 0 ? [80, 443] : made.ports,
    addresses: [],
    tls: 'sni' as const,
    upgrade: [],
    bytesUpPerDay: null,
    force: false,
    source: { kind: 'file' as const, file: 'p.yaml', line: 1, column: 1 },
  }));
const rules = fc.array(rule, { maxLength: 12 });
const alone = fc.uniqueArray(agent, { maxLength: 2 });
const target: fc.Arbitrary<Target> = fc.record({
  agent,
  host: fc.oneof(name, quad).map((text) => parseHost(text)!),
  port,
});

/** `alone`: agents that inherit nothing. */
function compiled(rules: readonly Rule[], alone: readonly string[] = []) {
  const agents = new Map(alone.map((agent) => [agent, { inherit: false, from: [], limits: {}, rules: [] }]));
  const document: PolicyDocument = { ...documentOf('version: 1'), rules, agents };
  return compile([document]);
}

const allows = (rules: readonly Rule[], alone: readonly string[], target: Target) =>
  decide(compiled(rules, alone), target, AT).verdict === 'allow';

/** The same decision, said as plainly as possible. */
function plainly(rules: readonly Rule[], alone: readonly string[], target: Target): Rule | null | 'denied' {
  const holds = (rule: Rule) =>
    (rule.ports.length === 0 || rule.ports.includes(target.port)) &&
    (rule.agents.length === 0 || rule.agents.includes(target.agent)) &&
    (rule.until === null || rule.until > NOW) &&
    (rule.action === 'deny' || !alone.includes(target.agent)) &&
    stands(rule, target.host);
  if (rules.some((rule) => rule.action === 'deny' && holds(rule))) return 'denied';
  return rules.find((rule) => rule.action === 'allow' && holds(rule)) ?? null;
}

function stands(rule: Rule, host: Host): boolean {
  if (rule.host === '*') return rule.action === 'deny' || (host.kind === 'name' && !isSpecialName(host.name));
  if (host.kind === 'address') {
    const range = parseRange(rule.host);
    return range !== null && rangeContains(range, host.address);
  }
  return rule.host.startsWith('*.') ? host.name.endsWith(rule.host.slice(1)) : host.name === rule.host;
}

describe('decide', () => {
  test('agrees with the plain reading of the rules', () => {
    fc.assert(
      fc.property(rules, alone, target, (rules, alone, target) => {
        const expected = plainly(rules, alone, target);
        const { verdict, reason, rule } = decide(compiled(rules, alone), target, AT);
        if (expected === 'denied') expect(reason).toBe('denied');
        else if (expected === null) expect(verdict).toBe('deny');
        else expect(rule).toEqual(expected);
      }),
      { numRuns: 3_000 },
    );
  });

  test('gives rules back as they were written', () => {
    fc.assert(fc.property(rules, (rules) => expect([...rulesOf(compiled(rules))]).toEqual(rules)));
  });

  test('never allows more when a denial is added', () => {
    fc.assert(
      fc.property(rules, alone, rule, fc.nat(12), target, (rules, alone, added, at, target) => {
        const more = rules.toSpliced(at, 0, { ...added, action: 'deny' });
        expect(!allows(more, alone, target) || allows(rules, alone, target)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('never allows more when an allow rule is removed', () => {
    fc.assert(
      fc.property(rules, alone, fc.nat(12), target, (rules, alone, at, target) => {
        const fewer = rules.filter((rule, i) => i !== at || rule.action === 'deny');
        expect(!allows(fewer, alone, target) || allows(rules, alone, target)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('never lets a file below undo what a file above denies', () => {
    fc.assert(
      fc.property(rules, rules, target, (above, below, target) => {
        const [upper, lower] = [above, below].map((rules) => ({ ...documentOf('version: 1'), rules }));
        const decision = decide(compile([upper!, lower!]), target, AT);
        if (decide(compile([upper!]), target, AT).reason === 'denied') expect(decision.reason).toBe('denied');
      }),
    );
  });

  test('takes *.x for names below x alone', () => {
    const policy = policyOf('allow: ["*.x.com"]');
    const prefix = fc.stringMatching(/^[a-z0-9.-]{0,12}$/);
    fc.assert(
      fc.property(
        prefix,
        fc.constantFrom('x.com', 'notx.com', 'x.com.evil.test', 'x.community'),
        (prefix, end) => {
          const host = parseHost(prefix + end);
          if (host === null) return;
          const { verdict } = decide(policy, { agent: 'a', host, port: 443 }, AT);
          expect(verdict === 'allow').toBe(host.kind === 'name' && host.name.endsWith('.x.com'));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('answers every text that is a host, and every target, without throwing', () => {
    const policy = policyOf(
      'allow: [{host: "*", force: true}, "*.a.com", 10.0.0.0/8, "2001:db8::/32"]\ndeny: ["*.b.com", 203.0.113.0/24]',
    );
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.domain(),
      fc.ipV4(),
      fc.ipV6(),
      host,
    );
    const anyHost: fc.Arbitrary<Host> = fc.oneof(
      fc.string({ unit: 'binary' }).map((name) => ({ kind: 'name' as const, name })),
      text.map((text) => parseHost(text) ?? { kind: 'name' as const, name: text }),
    );
    fc.assert(
      fc.property(fc.string(), anyHost, fc.oneof(fc.double(), fc.integer()), (agent, host, port) => {
        const { verdict, rule } = decide(policy, { agent, host, port }, AT);
        expect(verdict === 'allow' ? rule!.action === 'allow' : verdict === 'deny').toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });

  test('answers one policy and never a mixture of two', () => {
    const first = policyOf('allow: [a.test]\ndeny: [b.test]');
    const second = policyOf('deny: [a.test]\nallow: [b.test]');
    for (let i = 0; i < 1_000; i++)
      for (const [policy, allowed] of [
        [first, 'a.test'],
        [second, 'b.test'],
      ] as const)
        for (const name of ['a.test', 'b.test']) {
          const { verdict } = decide(policy, { agent: '', host: { kind: 'name', name }, port: 443 }, AT);
          expect(verdict).toBe(name === allowed ? 'allow' : 'deny');
        }
  });

  test('finds each of many rules', () => {
    const count = 20_000;
    const many = Array.from({ length: count }, (_, i) => `${i % 2 === 0 ? '' : '*.'}h${i}.example.com`);
    const policy = policyOf(`allow:\n${many.map((host) => `  - "${host}"\n`).join('')}`);
    for (let i = 0; i < count; i++) {
      const name = `${i % 2 === 0 ? '' : 'www.'}h${i}.example.com`;
      const { rule } = decide(policy, { agent: '', host: { kind: 'name', name }, port: 443 }, AT);
      expect(rule?.host).toBe(many[i]!);
    }
  });
});
