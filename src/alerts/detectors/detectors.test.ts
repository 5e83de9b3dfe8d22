import { describe, expect, test } from 'bun:test';
import type { CloseEvent, DecisionEvent, NoticeEvent } from '../../events/event.ts';
import type { StoredEvent } from '../../events/row.ts';
import { DETECTORS, type DetectorName } from '../../policy/alerts/condition.ts';
import { DEFAULT_ALERTS } from '../../policy/alerts/defaults.ts';
import { policyOf } from '../../policy/policy.fixture.ts';
import type { Policy } from '../../policy/policy.ts';
import { BoundedMap } from '../counting/bounded.ts';
import type { Detector, Finding } from './detector.ts';
import { createDetectors } from './detectors.ts';

const BEGIN = Date.UTC(2026, 0, 5, 9, 0);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const stored = (event: object, time: number): StoredEvent =>
  ({ sequence: 1, time: BEGIN + time, agent: 'bot', session: 's', count: 1, ...event }) as StoredEvent;

const decision = (host: string, rest: Partial<DecisionEvent> = {}, time = 0) =>
  stored(
    { kind: 'decision', host, port: 443, verdict: 'deny', reason: 'no-rule', wouldDeny: false, ...rest },
    time,
  );
const allowed = (agent: string, host: string, time: number) =>
  decision(host, { agent, verdict: 'allow', reason: 'rule' }, time);
const close = (bytesUp: number, time: number, rest: Partial<CloseEvent> = {}) =>
  stored(
    { kind: 'close', host: 'x.example', outcome: 'done', reason: null, bytesUp, bytesDown: 0, ...rest },
    time,
  );
const notice = (topic: NoticeEvent['topic']) => stored({ kind: 'notice', topic, text: 'x' }, 0);

/** One detector, and what it remembers beyond itself. */
function detectorOf(
  name: DetectorName,
  policy: Policy | (() => Policy),
  memory = new Map<string, number>(),
): Detector {
  const [any] = DEFAULT_ALERTS;
  return createDetectors([{ ...any!, condition: { kind: 'detector', name, where: [] } }], {
    policy: typeof policy === 'function' ? policy : () => policy,
    memory: { get: (key) => memory.get(key) ?? null, set: (key, value) => void memory.set(key, value) },
    isKnown: (agent) => agent === 'with-token',
  }).get(name)!;
}

const textOf = (finding: Finding | null) => finding?.text ?? null;
const POLICY = policyOf('allow: [github.com, "*.example-corp.com"]');

test('every detector that a condition names is made once, however deep', () => {
  const [any] = DEFAULT_ALERTS;
  const detection = { kind: 'detector', name: 'killed', where: [] } as const;
  const condition = {
    kind: 'or',
    of: [
      { kind: 'not', of: detection },
      { kind: 'and', of: [detection, detection] },
    ],
  } as const;
  const context = { policy: () => POLICY, memory: { get: () => null, set: () => {} } };
  expect([
    ...createDetectors(
      [
        { ...any!, condition },
        { ...any!, condition },
      ],
      context,
    ).keys(),
  ]).toEqual(['killed']);
  expect([...createDetectors(DEFAULT_ALERTS, context).keys()].sort()).toEqual([...DETECTORS].sort());
});

describe('lookalike', () => {
  test('says what a host imitates, refused or not, and by which policy', () => {
    let policy = POLICY;
    const detector = detectorOf('lookalike', () => policy);
    for (let again = 0; again < 2; again++) {
      expect(detector.see(decision('githb.com'))).toMatchObject({
        agent: 'bot',
        host: 'githb.com',
        text: 'githb.com imitates github.com, which is allowed (omission)',
      });
      expect(detector.see(decision('www.github.com'))).toBe(null);
      expect(detector.see(decision('example.org'))).toBe(null);
    }
    expect(detector.see(decision('github.com.evil.io', { verdict: 'allow', wouldDeny: true }))).not.toBe(
      null,
    );
    expect(detector.see(decision('(githb.com)'))).toBe(null);
    expect(detector.see(decision('(unread)'))).toBe(null);
    policy = policyOf('allow: [example.org]');
    expect(detector.see(decision('githb.com'))).toBe(null);
    expect(detector.see(decision('exampel.org'))).not.toBe(null);
  });
});

describe('risky_tld', () => {
  test('sees hosts under risky names that no rule allows', () => {
    const detector = detectorOf('risky_tld', POLICY);
    for (const host of ['x.tk', 'a.b.xyz', '(evil.top)'])
      expect(textOf(detector.see(decision(host)))).toContain('where many domains do harm');
    for (const host of ['x.com', 'tk.com', '203.0.113.7', '(other)', '(unread)', 'localhost'])
      expect(detector.see(decision(host))).toBe(null);
    expect(detector.see(allowed('bot', 'x.tk', 0))).toBe(null);
    expect(detector.see(decision('x.tk', { verdict: 'allow', wouldDeny: true }))).not.toBe(null);
  });
});

describe('unusual_upload', () => {
  const MB = 1_000_000;

  test('fires past 50 MB within an hour where nothing is usual', () => {
    const detector = detectorOf('unusual_upload', POLICY);
    expect(detector.see(close(30 * MB, 0))).toBe(null);
    expect(detector.see(close(20 * MB, HOUR / 2))).toBe(null);
    expect(detector.see(close(1, HOUR / 2, { agent: 'other' }))).toBe(null);
    expect(detector.see(close(1 * MB, HOUR - 60_000))).toMatchObject({
      agent: 'bot',
      value: 51 * MB,
      threshold: 50 * MB,
      text: 'bot sent 51 MB within an hour, 1 MB of it to x.example; it has hardly sent anything before',
    });
    expect(detector.see(close(1 * MB, 3 * HOUR))).toBe(null);
  });

  test('looks at what is sent while a connection goes on', () => {
    const detector = detectorOf('unusual_upload', POLICY);
    const passed = stored({ kind: 'progress', host: 'x.example', bytesUp: 51 * MB, bytesDown: 0 }, 0);
    expect(detector.see(passed)).toMatchObject({ value: 51 * MB });
  });

  test('knows what is usual, also after a restart', () => {
    const memory = new Map<string, number>();
    let detector = detectorOf('unusual_upload', POLICY, memory);
    for (let hour = 0; hour < 100; hour++) {
      const finding = detector.see(close((hour < 5 ? 10 + hour * 10 : 60) * MB, hour * HOUR));
      if (hour > 10) expect(finding).toBe(null);
      if (hour % 10 === 9) detector = detectorOf('unusual_upload', POLICY, memory);
    }
    expect(detector.see(close(200 * MB, 100 * HOUR + 60_000))).toBe(null);
    expect(textOf(detector.see(close(400 * MB, 101 * HOUR + 120_000)))).toContain('is usual for it');
  });

  test('learns nothing twice from rows that it is shown again', () => {
    const memory = new Map<string, number>();
    const rows = Array.from({ length: 20 }, (_, hour) => close((hour + 1) * MB, hour * HOUR));
    const first = detectorOf('unusual_upload', POLICY, memory);
    for (const row of rows) first.see(row);
    const before = new Map(memory);
    const second = detectorOf('unusual_upload', POLICY, memory);
    for (const row of rows) second.see(row);
    expect(memory).toEqual(before);
  });
});

describe('unexpected_agent', () => {
  const named = policyOf(
    `allow: [a.example]
agents: { ci: { allow: [b.example] } }
listen: [{ address: '127.0.0.1:1', agent: with-listener }]`,
  );

  test.each([
    ['credentials-wrong', 'somebody came as ci without its token'],
    ['credentials-missing', 'somebody came as ci without its token'],
    ['agent', 'ci asked for x.example, which is allowed for other agents only'],
    ['no-rule', null],
  ] as const)('reason %s', (reason, text) => {
    const detector = detectorOf('unexpected_agent', named);
    expect(textOf(detector.see(decision('x.example', { agent: 'ci', reason })))).toBe(text);
  });

  test('is one that the policy does not name, where it names any, and that has no token', () => {
    const detector = detectorOf('unexpected_agent', named);
    expect(textOf(detector.see(decision('x.example')))).toBe(
      'bot is none of the agents that the policy names',
    );
    expect(detector.see(decision('x.example', { agent: 'with-token' }))).toBe(null);
    expect(detector.see(decision('x.example', { agent: 'with-listener' }))).toBe(null);
    expect(detectorOf('unexpected_agent', POLICY).see(decision('x.example'))).toBe(null);
  });

  test('is one at a host that only another has used for a day', () => {
    const memory = new Map<string, number>();
    const first = detectorOf('unexpected_agent', POLICY, memory);
    const begun = ['a at.github.com', 'b x.example-corp.com', 'c x.example-corp.com', 'c y.example'];
    for (const text of begun) {
      const [agent, host] = text.split(' ') as [string, string];
      expect(first.see(allowed(agent, host, 0))).toBe(null);
    }
    expect(first.see(allowed('b', 'y.example', HOUR))).toBe(null);
    const later = detectorOf('unexpected_agent', POLICY, memory);
    expect(textOf(later.see(allowed('b', 'at.github.com', 2 * DAY)))).toBe(
      'b is at at.github.com, which only another agent has used so far',
    );
    expect(later.see(allowed('b', 'at.github.com', 2 * DAY))).toBe(null);
    // Two use it by now; both use this one; nobody knows what is usual for that one.
    expect(later.see(allowed('c', 'at.github.com', 2 * DAY))).toBe(null);
    expect(later.see(allowed('a', 'x.example-corp.com', 2 * DAY))).toBe(null);
    expect(later.see(allowed('z', 'z.example', 2 * DAY))).toBe(null);
    expect(later.see(allowed('new', 'z.example', 4 * DAY))).toBe(null);
    // Neither an agent nor a host of yesterday says what is usual.
    expect(later.see(allowed('alone', 'lone.example', 4 * DAY))).toBe(null);
    expect(later.see(allowed('new', 'lone.example', 6 * DAY - 1))).not.toBe(null);
    expect(later.see(allowed('alone', 'fresh.example', 6 * DAY))).toBe(null);
    expect(later.see(allowed('b', 'fresh.example', 6 * DAY + HOUR))).toBe(null);
    expect(later.see(allowed('alone', 'quiet.example', 6 * DAY))).toBe(null);
    expect(later.see(allowed('young', 'young.example', 8 * DAY - HOUR))).toBe(null);
    expect(later.see(allowed('young', 'quiet.example', 8 * DAY))).toBe(null);
  });
});

describe('first_contact', () => {
  test('is told once for each domain, after the first day', () => {
    const memory = new Map<string, number>();
    const detector = detectorOf('first_contact', POLICY, memory);
    expect(detector.see(allowed('bot', 'a.example-corp.com', 0))).toBe(null);
    expect(detector.see(allowed('bot', 'early.example', 23 * HOUR))).toBe(null);
    expect(detector.see(allowed('bot', 'b.example-corp.com', 2 * DAY))).toBe(null);
    expect(detector.see(decision('refused.example', {}, 2 * DAY))).toBe(null);
    const restarted = detectorOf('first_contact', POLICY, memory);
    expect(restarted.see(allowed('other', 'github.com', 2 * DAY))).toBe(null);
    expect(textOf(restarted.see(allowed('bot', 'api.github.com', 2 * DAY)))).toBe(
      'bot reached github.com for the first time',
    );
    expect(restarted.see(allowed('bot', 'github.com', 2 * DAY))).toBe(null);
    expect(textOf(restarted.see(allowed('bot', '203.0.113.7', 2 * DAY)))).toContain('203.0.113.7');
  });
});

describe('what gateways say of themselves', () => {
  test.each([
    ['policy_rejected', 'policy-rejected', 'does not parse'],
    ['killed', 'killed', 'the kill switch was turned on'],
    ['gateway_restarted', 'worker-restarted', 'started again'],
    ['store_failing', 'store-failed', 'could not be written'],
    ['store_failing', 'store-replaced', 'damaged'],
    ['fence_broken', 'fence-broken', 'own check'],
  ] as const)('%s: %s', (name, topic, text) => {
    const detector = detectorOf(name, POLICY);
    expect(textOf(detector.see(notice(topic)))).toContain(text);
    expect(detector.see(notice('policy-loaded'))).toBe(null);
    expect(detector.see(decision('x.example'))).toBe(null);
  });

  test('and refusals that say it for them', () => {
    expect(detectorOf('killed', POLICY).see(decision('x.example', { reason: 'killed' }))).toMatchObject({
      agent: null,
    });
    expect(
      detectorOf('store_failing', POLICY).see(decision('x.example', { reason: 'audit-unavailable' })),
    ).not.toBe(null);
    expect(detectorOf('fence_broken', POLICY).see(notice('fence-broken'))!.agent).toBe('bot');
  });
});

test('a bounded map forgets what was not used for long', () => {
  const map = new BoundedMap<number>(3);
  map.set('used', 1);
  map.set('unused', 2);
  for (let n = 0; n < 20; n++) {
    map.set(`other ${n}`, n);
    expect(map.get('used')).toBe(1);
    expect(map.size).toBeLessThanOrEqual(6);
  }
  expect(map.get('unused')).toBe(undefined);
  expect([map.get('other 19'), map.get('other 18')]).toEqual([19, 18]);
});
