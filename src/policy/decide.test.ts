import { describe, expect, test } from 'bun:test';
import { parseAddress } from '../names/address.ts';
import { decide, judgeAddress, ruleText } from './decide.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { AT, answerOf, decisionOf, NOW, policyOf, targetOf } from './policy.fixture.ts';

describe('the order of things', () => {
  const policy = policyOf('allow: [a.example.com, "*.b.example.com"]\ndeny: [x.b.example.com]');

  test('nothing is allowed that no rule allows', () => {
    expect(answerOf(policyOf('version: 1'), 'example.com')).toBe('no-rule');
    expect(answerOf(policy, 'example.com')).toBe('no-rule');
    expect(answerOf(policy, '203.0.113.7')).toBe('no-rule');
  });

  test('a rule allows its host on ports 80 and 443', () => {
    for (const port of [80, 443]) expect(answerOf(policy, 'a.example.com', port)).toBe('allow');
    for (const port of [22, 8443, 65_535]) expect(answerOf(policy, 'a.example.com', port)).toBe('port');
  });

  test('a denial beats an allow wherever it stands, on every port', () => {
    expect(answerOf(policy, 'y.b.example.com')).toBe('allow');
    expect(answerOf(policy, 'x.b.example.com')).toBe('denied');
    expect(answerOf(policyOf('deny: [a.example.com]\nallow: [a.example.com]'), 'a.example.com')).toBe(
      'denied',
    );
    const ports = policyOf(
      'allow: [{host: a.example.com, ports: [22, 443]}]\ndeny: [{host: a.example.com, ports: [22]}]',
    );
    expect(answerOf(ports, 'a.example.com', 22)).toBe('denied');
    expect(answerOf(ports, 'a.example.com', 443)).toBe('allow');
  });

  test('the kill switch beats everything', () => {
    const killed = { ...AT, killed: true };
    expect(decide(policy, targetOf('a.example.com'), killed)).toMatchObject({
      verdict: 'deny',
      reason: 'killed',
    });
    const observing = policyOf('mode: observe');
    expect(decide(observing, targetOf('a.example.com'), killed).reason).toBe('killed');
  });

  test('a grant allows until it ends, and no denial less', () => {
    const rule = decisionOf(policy, 'a.example.com').rule!;
    const grant = { ...rule, action: 'allow' as const, host: '*.example.com', until: NOW + 1 };
    const granted = { ...AT, grants: [grant] };
    expect(decide(policy, targetOf('c.example.com'), granted)).toMatchObject({
      verdict: 'allow',
      rule: grant,
    });
    expect(decide(policy, targetOf('x.b.example.com'), granted).reason).toBe('denied');
    expect(decide(policy, targetOf('c.example.com', 22), granted).reason).toBe('no-rule');
    expect(decide(policy, targetOf('c.example.com'), { ...granted, now: NOW + 1 }).reason).toBe('no-rule');
    const other = { ...AT, grants: [{ ...grant, agents: ['other'] }] };
    expect(decide(policy, targetOf('c.example.com'), other).reason).toBe('no-rule');
  });

  test('observe lets through what no rule allows and says so, but no denial', () => {
    const observing = policyOf('mode: observe\nallow: [a.example.com]\ndeny: [b.example.com]');
    expect(decisionOf(observing, 'a.example.com')).toMatchObject({ reason: 'rule', wouldDeny: false });
    expect(decisionOf(observing, 'c.example.com')).toMatchObject({
      verdict: 'allow',
      reason: 'observed',
      rule: null,
      wouldDeny: true,
    });
    expect(answerOf(observing, 'b.example.com')).toBe('denied');
  });

  test('a port out of range is refused before any rule', () => {
    const all = policyOf('allow: [{host: "*", force: true}]');
    for (const port of [0, -1, 65_536, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(answerOf(all, 'a.example.com', port)).toBe('malformed-port');
  });

  test('a name that did not come through the parser is refused', () => {
    const policy = policyOf('allow: ["*.allowed.test"]');
    for (const name of [
      'evil.test/.allowed.test',
      'EVIL.allowed.test',
      'a..allowed.test',
      '.allowed.test',
      'a.allowed.test.',
      '',
    ])
      expect(decide(policy, { agent: 'a', host: { kind: 'name', name }, port: 443 }, AT).reason).toBe(
        'malformed-host',
      );
  });
});

describe('wildcards', () => {
  const policy = policyOf('allow: ["*.example.com"]');

  test('stand for one or more labels below the name', () => {
    for (const host of ['a.example.com', 'a.b.example.com', `${'a.'.repeat(100)}example.com`])
      expect(answerOf(policy, host)).toBe('allow');
  });

  test('never stand for the name itself, a longer label or another end', () => {
    for (const host of [
      'example.com',
      'notexample.com',
      'a-example.com',
      'example.com.evil.test',
      'a.example.community',
    ])
      expect(answerOf(policy, host)).toBe('no-rule');
  });

  test('* stands for every name but special ones, and for no address', () => {
    const all = policyOf('allow: [{host: "*", force: true}]');
    expect(answerOf(all, 'anything.example.com')).toBe('allow');
    for (const host of [
      'localhost',
      'a.localhost',
      'router',
      'printer.local',
      'metadata.google.internal',
      '127.0.0.1.nip.io',
    ])
      expect(answerOf(all, host)).toBe('special-name');
    for (const host of ['203.0.113.7', '127.0.0.1', '[2001:db8::1]'])
      expect(answerOf(all, host)).toBe('no-rule');
  });

  test('a special name is allowed by a rule that names it', () => {
    const policy = policyOf('allow: [localhost, "*.internal", {host: "*", force: true}]');
    expect(answerOf(policy, 'localhost')).toBe('allow');
    expect(answerOf(policy, 'a.internal')).toBe('allow');
    expect(answerOf(policy, 'a.local')).toBe('special-name');
  });

  test('* as a denial stands for everything', () => {
    const none = policyOf('allow: [a.example.com, localhost, 203.0.113.7, "2001:db8::1"]\ndeny: ["*"]');
    for (const host of ['a.example.com', 'localhost', '203.0.113.7', '[2001:db8::1]'])
      expect(answerOf(none, host)).toBe('denied');
  });
});

describe('addresses', () => {
  const policy = policyOf(
    'allow: [203.0.113.7, 198.51.100.0/24, "2001:db8::/32", {host: 10.0.0.5, addresses: [10.0.0.5]}, 10.0.0.6]\n' +
      'deny: [198.51.100.128/25, {host: 192.0.2.0/24, ports: [443]}]',
  );
  const judge = (host: string, address: string, port = 443) => {
    const { rule } = decisionOf(policy, host, port);
    return judgeAddress(policy, targetOf(host, port), rule, parseAddress(address)!, NOW)?.reason ?? 'dial';
  };

  test('are allowed by rules that name them or a range around them', () => {
    for (const host of ['203.0.113.7', '198.51.100.1', '[2001:db8:1::7]', '10.0.0.6'])
      expect(answerOf(policy, host)).toBe('allow');
    for (const host of ['203.0.113.8', '198.51.101.1', '[2001:db9::1]'])
      expect(answerOf(policy, host)).toBe('no-rule');
    expect(answerOf(policy, '198.51.100.200')).toBe('denied');
  });

  test('that are not public are dialled only where the rule says addresses', () => {
    expect(judge('10.0.0.5', '10.0.0.5')).toBe('dial');
    expect(judge('10.0.0.6', '10.0.0.6')).toBe('address-refused');
    expect(judge('203.0.113.7', '203.0.113.7')).toBe('dial');
  });

  test('to which a name leads are judged by class and by denied ranges', () => {
    const named = policyOf(
      'allow: [a.example.com, {host: b.example.com, addresses: [10.0.0.0/8]}]\n' +
        'deny: [192.0.2.0/24, {host: 198.51.100.0/24, ports: [80]}, {host: 203.0.113.0/24, until: 2025-12-31T00:00:00Z}]',
    );
    const judged = (host: string, address: string, now?: number) => {
      const { rule } = decisionOf(named, host);
      return judgeAddress(named, targetOf(host), rule, parseAddress(address)!, now)?.reason ?? 'dial';
    };
    for (const address of [
      '127.0.0.1',
      '10.1.2.3',
      '169.254.169.254',
      '::1',
      'fd00::1',
      '::ffff:10.1.2.3',
      '198.18.0.1',
    ])
      expect(judged('a.example.com', address)).toBe('address-refused');
    expect(judged('a.example.com', '8.8.8.8')).toBe('dial');
    expect(judged('a.example.com', '192.0.2.9')).toBe('address-denied');
    expect(judged('a.example.com', '198.51.100.9')).toBe('dial');
    expect(judged('a.example.com', '64:ff9b::c000:209')).toBe('address-denied');
    expect(judged('b.example.com', '10.1.2.3')).toBe('dial');
    expect(judged('b.example.com', '::ffff:10.1.2.3')).toBe('address-refused');
    expect(judged('b.example.com', '192.168.0.1')).toBe('address-refused');
    expect(judged('a.example.com', '203.0.113.1', NOW)).toBe('dial');
    expect(judged('a.example.com', '203.0.113.1')).toBe('address-denied');
  });

  test('in observe mode, where no rule allowed, have to be public', () => {
    const observing = policyOf('mode: observe');
    const judged = (address: string) =>
      judgeAddress(observing, targetOf('a.example.com'), null, parseAddress(address)!);
    expect(judged('8.8.8.8')).toBeNull();
    expect(judged('127.0.0.1')?.reason).toBe('address-refused');
  });

  test('a denied IPv4 range holds for the same range behind NAT64', () => {
    const policy = policyOf('allow: ["64:ff9b::/96"]\ndeny: [192.0.2.0/24]');
    expect(answerOf(policy, '[64:ff9b::c000:209]')).toBe('denied');
    expect(answerOf(policy, '[64:ff9b::c633:6401]')).toBe('allow');
  });
});

describe('agents', () => {
  const policy = policyOf(`
allow: [shared.example.com, {host: db.example.com, ports: [5432], agents: [bot, ann]}]
deny: [{host: shared.example.com, agents: [eve]}, never.example.com]
agents:
  bot: { allow: [own.example.com] }
  alone: { inherit: false, allow: [own.example.com, never.example.com] }
`);

  test('a rule for some agents holds for those alone', () => {
    for (const agent of ['bot', 'ann']) expect(answerOf(policy, 'db.example.com', 5432, agent)).toBe('allow');
    for (const agent of ['eve', 'other', '', '__proto__', 'constructor'])
      expect(answerOf(policy, 'db.example.com', 5432, agent)).toBe('agent');
    expect(answerOf(policy, 'db.example.com', 443, 'bot')).toBe('port');
    expect(answerOf(policy, 'shared.example.com', 443, 'eve')).toBe('denied');
  });

  test('a section adds to the rules above', () => {
    expect(answerOf(policy, 'own.example.com', 443, 'bot')).toBe('allow');
    expect(answerOf(policy, 'shared.example.com', 443, 'bot')).toBe('allow');
    expect(answerOf(policy, 'own.example.com', 443, 'ann')).toBe('agent');
  });

  test('inherit: false starts from nothing, but denials hold', () => {
    expect(answerOf(policy, 'own.example.com', 443, 'alone')).toBe('allow');
    expect(answerOf(policy, 'shared.example.com', 443, 'alone')).toBe('agent');
    expect(answerOf(policy, 'never.example.com', 443, 'alone')).toBe('denied');
    const named = policyOf(
      'allow: [{host: x.example.com, agents: [alone]}]\nagents: {alone: {inherit: false}}',
    );
    expect(answerOf(named, 'x.example.com', 443, 'alone')).toBe('agent');
  });
});

describe('layers', () => {
  test('what the machine-wide file denies stays denied', () => {
    const policy = policyOf(
      'deny: [a.example.com, 192.0.2.0/24]',
      'allow: [a.example.com, 192.0.2.1]\nagents: {bot: {inherit: false, allow: [a.example.com]}}',
    );
    expect(answerOf(policy, 'a.example.com')).toBe('denied');
    expect(answerOf(policy, '192.0.2.1')).toBe('denied');
  });

  test('below a locked file nothing is added, and denials still count', () => {
    const below = `
mode: observe
presets: [default]
allow: [b.example.com]
deny: [c.example.com]
agents: { bot: { allow: [d.example.com] }, alone: { inherit: false } }
hosts: { a.example.com: 192.0.2.1 }
dns: { upstream: 10.0.0.53 }
limits: { idle: 7d }
`;
    const locked = policyOf('locked: true\nallow: [a.example.com, c.example.com]', below);
    expect(answerOf(locked, 'a.example.com')).toBe('allow');
    for (const host of ['b.example.com', 'd.example.com', 'github.com'])
      expect(answerOf(locked, host)).toBe('no-rule');
    expect(answerOf(locked, 'c.example.com')).toBe('denied');
    expect(answerOf(locked, 'a.example.com', 443, 'alone')).toBe('agent');
    expect(locked).toMatchObject({ mode: 'enforce', upstream: 'system', lockedBy: '/files/0.yaml' });
    expect(locked.hosts.size).toBe(0);
    expect(locked.limits.idle).toBe(15 * 60_000);
    expect(answerOf(policyOf('allow: [a.example.com]', below), 'b.example.com')).toBe('allow');
  });

  test('what the machine-wide file says once holds', () => {
    const policy = policyOf(
      'mode: enforce\nhosts: {a.example.com: 192.0.2.1}\nlimits: {idle: 1m}',
      'mode: observe\nhosts: {a.example.com: 192.0.2.2, b.example.com: 192.0.2.3}\nlimits: {idle: 2m, header_bytes: 2048}',
    );
    expect(policy.mode).toBe('enforce');
    expect(policy.hosts.get('a.example.com')![0]!.text).toBe('192.0.2.1');
    expect(policy.hosts.get('b.example.com')![0]!.text).toBe('192.0.2.3');
    expect(policy.limits).toEqual({ ...DEFAULT_LIMITS, idle: 60_000, headerBytes: 2_048 });
  });
});

describe('what a decision tells', () => {
  const policy = policyOf(`presets: [default]
allow:
  - host: "*.example.com"
    note: first
  - host: a.example.com
    ports: [443, 8443]
    until: 2026-06-01T00:00:00+02:00
  - a.example.com
deny:
  - gist.example.com
`);

  test('the first matching rule in the order of the file, and all others that match', () => {
    const { rule, allowedBy } = decisionOf(policy, 'a.example.com');
    expect(rule).toMatchObject({ host: '*.example.com', note: 'first', ports: [80, 443] });
    expect(allowedBy.map(ruleText)).toEqual(['0.yaml:3', '0.yaml:5', '0.yaml:8']);
    expect(allowedBy[1]).toEqual({
      action: 'allow',
      host: 'a.example.com',
      ports: [443, 8443],
      agents: [],
      addresses: [],
      tls: 'sni',
      upgrade: [],
      bytesUpPerDay: null,
      until: Date.UTC(2026, 4, 31, 22),
      note: null,
      force: false,
      source: { kind: 'file', file: '/files/0.yaml', line: 5, column: 5 },
    });
  });

  test('the denial that decided, or the preset', () => {
    expect(ruleText(decisionOf(policy, 'gist.example.com').rule!)).toBe('0.yaml:10');
    expect(ruleText(decisionOf(policy, 'github.com').rule!)).toBe('preset default');
  });

  test('the machine-wide file by its whole path, for the own one has the same name', () => {
    const source = { kind: 'file', file: '/etc/clawctl/egress.yaml', line: 3, column: 5 } as const;
    const { rule } = decisionOf(policy, 'a.example.com');
    expect(ruleText({ ...rule!, source })).toBe('/etc/clawctl/egress.yaml:3');
  });

  test('the nearest miss as the reason', () => {
    const ended = { ...AT, now: Date.UTC(2026, 5, 1) };
    expect(decide(policy, targetOf('a.example.com', 8443), ended).reason).toBe('expired');
    expect(answerOf(policy, 'b.example.com', 22)).toBe('port');
  });
});
