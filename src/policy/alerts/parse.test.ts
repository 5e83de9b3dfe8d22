import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { REASONS, type Reason } from '../reason.ts';
import { type Condition, DETECTORS, type Filter, GROUPS, METRICS, OPERATORS } from './condition.ts';
import { parseCondition } from './parse.ts';
import { printCondition } from './print.ts';

function parsed(text: string): Condition {
  const result = parseCondition(text);
  if (!result.ok) throw new Error(result.problem.message);
  return result.condition;
}

const printed = (text: string) => printCondition(parsed(text));

/** The problem as a person sees it: the place, what is wrong, what to write. */
function problem(text: string): string {
  const result = parseCondition(text);
  if (result.ok) return 'no problem';
  const { at, message, fix } = result.problem;
  return `${at}: ${message}${fix === null ? '' : `. ${fix}`}`;
}

describe('a condition', () => {
  test('of the guide is read whole', () => {
    expect(parsed('blocked_requests > 100 in 5 minutes')).toEqual({
      kind: 'threshold',
      metric: 'blocked_requests',
      op: '>',
      value: { kind: 'number', number: 100 },
      window: 300_000,
      per: null,
      where: [],
    });
    expect(parsed('domain matches *.xyz, *.tk, *.ml')).toEqual({
      kind: 'domain',
      patterns: ['*.xyz', '*.tk', '*.ml'],
      where: [],
    });
  });

  test.each([
    ['blocked_requests>100 in 5m', 'blocked_requests > 100 in 5 minutes'],
    ['bytes_up > 50MB in 1h30m per agent', 'bytes_up > 50 MB in 90 minutes per agent'],
    ['bytes_down >= 52428800 in 24h', 'bytes_down >= 50 MiB in 1 day'],
    ['bytes_up > 1.5 GB in 1 hour 30 minutes', 'bytes_up > 1500 MB in 90 minutes'],
    ['failed_requests > 3x baseline in 1 hour per host', 'failed_requests > 3x baseline in 1 hour per host'],
    ['dns_queries > 2.5x baseline in 90s', 'dns_queries > 2.5x baseline in 90 seconds'],
    ['killed or lookalike and not risky_tld', 'killed or lookalike and not risky_tld'],
    ['((killed))', 'killed'],
    ['(killed and killed) and killed', '(killed and killed) and killed'],
    ['(killed or killed) and killed', '(killed or killed) and killed'],
    ['killed or (killed and killed)', 'killed or killed and killed'],
    ['not not killed', 'not not killed'],
    ['not (killed or killed)', 'not (killed or killed)'],
    ['lookalike\n  or\r\n\tkilled', 'lookalike or killed'],
    ['domain matches GitHub.IO., *.Evil.COM', 'domain matches github.io, *.evil.com'],
    [
      'blocked_requests > 5 in 1 minute where host matches 10.0.0.0/8, [2001:db8::7] and agent = a, b and reason = no-rule',
      'blocked_requests > 5 in 1 minute where host matches 10.0.0.0/8, [2001:db8::7] and agent = a, b and reason = no-rule',
    ],
  ])('%j is the same as %j', (text, canonical) => {
    expect(printed(text)).toBe(canonical);
    expect(printed(canonical)).toBe(canonical);
  });

  test('goes on with filters after where, unless parentheses end them', () => {
    const filters = parsed('lookalike where agent = a and domain matches *.xyz');
    expect(filters).toMatchObject({ kind: 'detector', where: [{ field: 'agent' }, { field: 'domain' }] });
    const both = parsed('(lookalike where agent = a) and domain matches *.xyz');
    expect(both).toMatchObject({ kind: 'and', of: [{ kind: 'detector' }, { kind: 'domain' }] });
    expect(printCondition(both)).toBe('(lookalike where agent = a) and domain matches *.xyz');
    const detectors = parsed('lookalike where agent = a and killed');
    expect(detectors).toMatchObject({ kind: 'and', of: [{ name: 'lookalike' }, { name: 'killed' }] });
    const either = parsed('lookalike where agent = a or domain matches *.xyz');
    expect(either).toMatchObject({ kind: 'or', of: [{ kind: 'detector' }, { kind: 'domain' }] });
  });
});

describe('a bad condition is refused:', () => {
  test.each([
    ['', '0: the condition is empty. Such as blocked_requests > 100 in 5 minutes'],
    [
      'blocked_request > 100 in 5m',
      "0: unknown metric or detector 'blocked_request'. Did you mean 'blocked_requests'?",
    ],
    ['Killed', "0: unknown metric or detector 'Killed'. Did you mean 'killed'?"],
    ['100 < blocked_requests', '0: the metric comes first. Such as blocked_requests > 100 in 5 minutes'],
    [
      'blocked_requests',
      '16: the condition ends where a comparison is missing. Such as blocked_requests > 100 in 5 minutes',
    ],
    ['blocked_requests = 5 in 1m', "17: '=' compares names; numbers are compared with ==. Write =="],
    ['blocked_requests ≥ 5 in 1m', "17: a condition has no '≥'. Write >=."],
    ['blocked_requests >', '18: the condition ends where a number is missing'],
    ['blocked_requests > many in 5m', "19: 'many' is not a number. Such as 100, 50 MB or 3x baseline."],
    ['blocked_requests > -1 in 5m', "19: '-1' is not a number. Nothing is counted below 0."],
    ['blocked_requests > 5.5 in 5m', "19: '5.5' is not a whole number"],
    ['blocked_requests > 1,000 in 5m', '20: a number has no commas'],
    ['blocked_requests > 1_000 in 5m', "19: '1_000' is not a number. Write 1000"],
    ['blocked_requests > 007 in 5m', "19: '007' is not a whole number"],
    ['blocked_requests > 9999999999999999 in 5m', '19: 9999999999999999 is too large'],
    [
      'blocked_requests > 5 MB in 5m',
      "19: blocked_requests is a count, and '5 MB' is not a whole number. Sizes belong to bytes_up and bytes_down.",
    ],
    ['bytes_up > 50 mb in 1h', "11: unknown unit 'mb'. Did you mean 'MB'?"],
    ['bytes_up > 0.5 B in 1h', "11: '0.5 B' is not a whole number of bytes, or too large"],
    ['bytes_up > 300% in 1h', "11: '300%' is not a number. Compare with what is usual: '3x baseline'."],
    ['bytes_up > 3x in 1h', "11: '3x' multiplies nothing. Write 3x baseline"],
    ['bytes_up > 3 baseline in 1h', "11: a baseline is multiplied: '3x baseline'. Write 3x baseline"],
    ['bytes_up > baseline in 1h', '11: a baseline is multiplied. Write 3x baseline'],
    ['bytes_up > 5000x baseline in 1h', '11: a baseline is multiplied by 0.1 to 1000'],
    ['bytes_up == 3x baseline in 1h', "12: '==' does not compare with a baseline. Write > or <"],
    ['blocked_requests >= 0 in 5m', '20: this always holds: blocked_requests is never below 0. Write > 0'],
    ['blocked_requests < 0 in 5m', '19: this never holds: blocked_requests is never below 0. Write == 0'],
    [
      'blocked_requests > 100',
      "22: the condition ends where 'in' and a duration is missing. Such as in 5 minutes",
    ],
    [
      'blocked_requests > 100 within 5m',
      "23: 'in' and a duration is missing before 'within'. Such as in 5 minutes",
    ],
    ['blocked_requests > 100 in 5', "26: '5' is not a duration. Write 5 minutes"],
    ['blocked_requests > 100 in 5 minuts', "26: '5 minuts' is not a duration. Did you mean 'minutes'?"],
    [
      'blocked_requests > 100 in five minutes',
      "26: 'five' is not a duration. Such as 90 seconds, 5 minutes, 1h30m or 7 days.",
    ],
    ['blocked_requests > 100 in 500ms', "26: '500ms' is not a whole number of seconds"],
    ['blocked_requests > 100 in 0s', "26: '0s' is not between 1 second and 7 days"],
    ['blocked_requests > 100 in 8 days', "26: '8 days' is not between 1 second and 7 days"],
    [
      'blocked_requests > 100 in 5 minutes for agent',
      "36: 'for' does not go on with the condition. Write 'per agent', 'per host' or 'per domain'.",
    ],
    [
      'blocked_requests > 100 in 5 minutes per agnt',
      "40: what it is counted for is missing before 'agnt'. Did you mean 'agent'?",
    ],
    [
      'new_blocked_domains > 5 in 1h per domain',
      '34: each domain is new once only. Write per agent, or take the per out.',
    ],
    [
      'blocked_requests > 1 in 1m where agent = a per agent',
      "43: 'per' stands before 'where'. Such as … in 5 minutes per agent where host matches *.xyz",
    ],
    [
      'blocked_requests > 1 in 1m where hots = x',
      "33: a field is missing before 'hots'. Did you mean 'host'?",
    ],
    [
      'blocked_requests > 1 in 1m where agent == x',
      "39: '==' compares numbers; names are compared with =. Write =",
    ],
    [
      'blocked_requests > 1 in 1m where agent x',
      "39: '=' or 'matches' is missing before 'x'. Such as agent = …",
    ],
    ['blocked_requests > 1 in 1m where agent =', '40: the condition ends where a value is missing'],
    ['blocked_requests > 1 in 1m where agent = a,', '43: the condition ends where a value is missing'],
    [
      'blocked_requests > 1 in 1m where agent = ci-*',
      "41: 'ci-*' is not the name of an agent. Agents are named in full.",
    ],
    [
      'blocked_requests > 1 in 1m where agent matches ci',
      '39: only hosts and domains have patterns. Write agent = …, …',
    ],
    [
      'blocked_requests > 1 in 1m where host = *.x.com',
      "40: '*.x.com' is a pattern, not a host. Write matches *.x.com",
    ],
    [
      'blocked_requests > 1 in 1m where reason = no-rul',
      "42: unknown reason 'no-rul'. Did you mean 'no-rule'?",
    ],
    [
      'dns_queries > 1 in 1m where reason = no-rule',
      "28: 'dns_queries' has no reason to compare. Possible: agent, host, domain.",
    ],
    ['policy_rejected where agent = a', "22: 'policy_rejected' has no agent to compare. Take the where out."],
    ['lookalike where agent = x and hots = y', "30: unknown metric or detector 'hots'. Did you mean 'host'?"],
    [
      '(lookalike where agent = x) and hots = y',
      "32: unknown metric or detector 'hots'. Did you mean 'not'?",
    ],
    ['domain = x.com', "7: 'matches' is missing before '='. Such as domain matches *.xyz, *.tk"],
    ['domain matches xyz', "15: 'xyz' is a top-level name, not a host. Write *.xyz"],
    ['domain matches *', "15: '*' matches everything. Take it out, or name what is meant."],
    [
      'domain matches x.*',
      "15: 'x.*' is not a pattern: a wildcard is only a leading *.. Name each host, or write a leading *. such as *.example.com.",
    ],
    [
      'domain matches 10.0.0.1',
      "15: '10.0.0.1' is an address, and an address has no domain. Write … where host matches 10.0.0.1",
    ],
    [
      'domain matches https://x.tk/a',
      "15: 'https://x.tk/a' is not a pattern: this is a URL; a rule names a host, whatever the path. Write x.tk",
    ],
    ['host matches *.tk', "0: 'host' is compared after 'where' only. Write domain matches"],
    ['domain matches "*.tk"', "15: a condition has no '\"'. Nothing is quoted inside a condition."],
    ['killed AND lookalike', "7: 'AND' does not go on with the condition. Did you mean 'and'?"],
    ['killed & lookalike', "7: a condition has no '&'. Write 'and'."],
    ['killed and', '10: the condition ends where a metric, a detector or domain matches is missing'],
    ['(killed', "0: this '(' is never closed. Add ')'."],
    ['killed)', "6: this ')' closes nothing"],
    ['()', "1: a metric, a detector or domain matches is missing before ')'"],
    ['killed\0', "6: a condition has no '\0'"],
  ])('%j', (text, expected) => {
    expect(problem(text)).toBe(expected);
  });
});

describe('no condition can hang or fill the memory:', () => {
  test.each([
    ['too long', 'a'.repeat(4_001), '4000: a condition has at most 4000 characters, this one has 4001'],
    ['too deep', '('.repeat(3_000), '16: a condition is nested at most 16 deep'],
    ['too many nots', 'not '.repeat(900), '64: a condition is nested at most 16 deep'],
    ['too many parts', Array(100).fill('killed').join(' or '), '320: a condition has at most 32 parts'],
  ])('%s', (_, text, expected) => {
    expect(problem(text)).toStartWith(expected);
  });

  test('the largest ones take a moment', () => {
    const start = performance.now();
    for (const text of [
      `domain matches ${Array(400).fill('*.a.tk').join(', ')}`,
      `killed ${'9 '.repeat(1_900)}`,
      `${'(killed) or '.repeat(300)}`,
    ])
      parseCondition(text);
    expect(performance.now() - start).toBeLessThan(500);
  });

  test('whatever the text', () => {
    const words = [
      ...METRICS,
      ...DETECTORS,
      'domain',
      'matches',
      'and',
      'or',
      'not',
      '(',
      ')',
      'in',
      'per',
      'where',
    ];
    const piece = fc.oneof(
      fc.constantFrom(
        ...words,
        ...OPERATORS,
        ',',
        '=',
        '5',
        'minutes',
        '50 MB',
        '3x',
        'baseline',
        'agent',
        '*.tk',
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join(' ');
        const result = parseCondition(text);
        if (result.ok)
          expect(printed(printCondition(result.condition))).toBe(printCondition(result.condition));
        else expect(result.problem.at <= text.length && result.problem.at >= 0).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });
});

const label = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => `${labels.join('.')}.example`);
const pattern = fc.oneof(
  name,
  name.map((name) => `*.${name}`),
  fc.constantFrom('*.tk', '*.xyz'),
);
const address = fc.constantFrom('203.0.113.7', '10.0.0.0/8', '2001:db8::7', '2001:db8::/32');
const list = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 3 });
const hostFilter: fc.Arbitrary<Filter> = fc.oneof(
  fc.record({ field: fc.constant('host'), test: fc.constant('equals'), values: list(name) }),
  fc.record({
    field: fc.constant('host'),
    test: fc.constant('matches'),
    values: list(fc.oneof(pattern, address)),
  }),
  fc.record({ field: fc.constant('domain'), test: fc.constant('equals'), values: list(name) }),
  fc.record({ field: fc.constant('domain'), test: fc.constant('matches'), values: list(pattern) }),
  fc.record({
    field: fc.constant('agent'),
    test: fc.constant('equals'),
    values: list(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+@-]{0,12}$/)),
  }),
) as fc.Arbitrary<Filter>;
const reasonFilter = fc.record({
  field: fc.constant('reason' as const),
  test: fc.constant('equals' as const),
  values: list(fc.constantFrom(...(Object.keys(REASONS) as Reason[]))),
});
const where = fc.array(hostFilter, { maxLength: 3 });
const windows = fc.integer({ min: 1, max: 604_800 }).map((seconds) => seconds * 1_000);
const number = fc.integer({ min: 1, max: 1e15 }).map((number) => ({ kind: 'number' as const, number }));
const baseline = fc
  .integer({ min: 100, max: 1_000_000 })
  .map((factor) => ({ kind: 'baseline' as const, factor: factor / 1_000 }));
const threshold = fc
  .record({
    kind: fc.constant('threshold' as const),
    metric: fc.constantFrom(...METRICS),
    op: fc.constantFrom(...OPERATORS),
    value: fc.oneof(number, baseline),
    window: windows,
    per: fc.constantFrom(null, ...GROUPS),
    where: fc.oneof(where, fc.array(fc.oneof(hostFilter, reasonFilter), { maxLength: 2 })),
  })
  .filter(({ op, value }) => value.kind === 'number' || (op !== '==' && op !== '!='))
  .filter(({ metric, per }) => metric !== 'new_blocked_domains' || per === null || per === 'agent')
  .filter(
    ({ metric, where }) => /requests|domains/.test(metric) || !where.some(({ field }) => field === 'reason'),
  );
const detection = fc.oneof(
  fc.record({
    kind: fc.constant('detector' as const),
    name: fc.constantFrom(...DETECTORS.slice(0, 6)),
    where,
  }),
  fc.record({
    kind: fc.constant('detector' as const),
    name: fc.constantFrom(...DETECTORS),
    where: fc.constant([]),
  }),
);
const domain = fc.record({ kind: fc.constant('domain' as const), patterns: list(pattern), where });
const { condition } = fc.letrec<{ condition: Condition }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    threshold,
    detection,
    domain,
    fc.record({ kind: fc.constant('not' as const), of: tie('condition') }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      of: fc.array(tie('condition'), { minLength: 2, maxLength: 3 }),
    }),
  ),
}));

test('what is printed is read back, and printed the same', () => {
  let read = 0;
  fc.assert(
    fc.property(condition, (condition) => {
      const text = printCondition(condition);
      const result = parseCondition(text);
      if (!result.ok && /at most/.test(result.problem.message)) return;
      read++;
      expect(result).toEqual({ ok: true, condition });
      expect(printCondition(parsed(text))).toBe(text);
    }),
    { numRuns: 2_000 },
  );
  expect(read).toBeGreaterThan(1_500);
});
