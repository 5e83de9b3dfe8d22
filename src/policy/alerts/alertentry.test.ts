import { describe, expect, test } from 'bun:test';
import { documentOf, policyOf, problemsOf } from '../policy.fixture.ts';
import { alertsOf, channelsOf } from '../policy.ts';
import { Reading } from '../reading.ts';
import { secretsOf } from './channel.ts';
import { DEFAULT_ALERTS } from './defaults.ts';
import { GUIDE } from './guide.fixture.ts';
import { missingChannels } from './missing.ts';
import { printCondition } from './print.ts';

const problem = (text: string) => problemsOf(text).join('\n');

describe('the alerts of a policy', () => {
  test('of the guide load unchanged', () => {
    const [spike, domains] = documentOf(`\n${GUIDE}`).alerts;
    expect(spike).toMatchObject({
      name: 'blocked_request_spike',
      text: 'blocked_requests > 100 in 5 minutes',
      severity: 'high',
      notify: ['security@company.com'],
      cooldown: 3_600_000,
      for: 0,
      enabled: true,
      source: { line: 3, column: 3 },
    });
    expect(domains).toMatchObject({
      condition: { kind: 'domain', patterns: ['*.xyz', '*.tk', '*.ml'] },
      severity: 'critical',
      notify: ['security@company.com', 'oncall'],
    });
  });

  test('are those that ship with the program where a file says nothing, and tell nobody', () => {
    const alerts = alertsOf(policyOf('version: 1'));
    expect(alerts.map(({ name }) => name)).toEqual(DEFAULT_ALERTS.map(({ name }) => name));
    expect(alerts.flatMap(({ notify }) => notify)).toEqual([]);
    for (const { condition, text } of alerts) expect(printCondition(condition)).toBe(text);
  });

  test('change, silence and replace those that ship with it by their names', () => {
    const alerts = alertsOf(
      policyOf(`alerts:
        - { name: dns_tunnel, notify: oncall, severity: critical }
        - { name: first_contact, enabled: false }
        - { name: killed, condition: killed where agent = bot }`),
    );
    const byName = new Map(alerts.map((alert) => [alert.name, alert]));
    expect(byName.get('dns_tunnel')).toMatchObject({
      condition: { kind: 'detector', name: 'dns_tunnel' },
      severity: 'critical',
      notify: ['oncall'],
    });
    expect(byName.has('first_contact')).toBe(false);
    expect(byName.get('killed')).toMatchObject({ text: 'killed where agent = bot', severity: 'medium' });
    expect(alerts.length).toBe(DEFAULT_ALERTS.length - 1);
    expect(alerts.every((alert) => !('enabled' in alert))).toBe(true);
  });

  test('of the machine-wide file cannot be changed or turned off below', () => {
    const above =
      'locked: true\nalerts: [{ name: killed, notify: a@b.example }]\nchannels: { c: { type: desktop } }';
    const below = `alerts: [{ name: killed, enabled: false }, { name: mine, condition: killed }]
channels: { c: { type: command, command: [/bin/true] } }`;
    const policy = policyOf(above, below);
    expect(alertsOf(policy).find(({ name }) => name === 'killed')!.notify).toEqual(['a@b.example']);
    expect(alertsOf(policy).some(({ name }) => name === 'mine')).toBe(true);
    expect(channelsOf(policy).get('c')!.type).toBe('desktop');
  });

  test.each([
    ['no name', 'alerts: [{ condition: killed }]', 'an alert without a name'],
    ['a bad name', 'alerts: [{ name: "a b", condition: killed }]', "'a b' is not the name of an alert"],
    ['no condition', 'alerts: [{ name: a }]', 'an alert without a condition'],
    ['an unknown key', 'alerts: [{ name: a, condition: killed, severty: high }]', "Did you mean 'severity'?"],
    [
      'an unknown severity',
      'alerts: [{ name: a, condition: killed, severity: hihg }]',
      "Did you mean 'high'?",
    ],
    [
      'the same name twice',
      'alerts: [{ name: a, condition: killed }, { name: a, condition: killed }]',
      "another alert 'a'",
    ],
    [
      'a URL',
      'alerts: [{ name: a, condition: killed, notify: "https://x.example/y" }]',
      'Configure it under channels:',
    ],
    [
      'a bad address',
      'alerts: [{ name: a, condition: killed, notify: "a@b@c" }]',
      'neither an e-mail address nor',
    ],
    [
      'a header in an address',
      'alerts: [{ name: a, condition: killed, notify: "a@b.example\n\n  Bcc: c" }]',
      'neither an e-mail',
    ],
    [
      'no duration',
      'alerts: [{ name: a, condition: killed, cooldown: soon }]',
      'cooldown is a duration of at most 30 days',
    ],
    [
      'too long a wait',
      'alerts: [{ name: a, condition: killed, for: 2d }]',
      'for is a duration of at most 1 day',
    ],
    ['a word for true', 'alerts: [{ name: a, condition: killed, enabled: yes }]', 'enabled is true or false'],
  ])('are refused with %s', (_, text, expected) => {
    expect(problem(text)).toContain(expected);
  });

  test.each([
    [
      'plain',
      '  condition: blocked_requests > 100 in 5 minuts',
      '3:40',
      '                                         ^',
    ],
    ['quoted', '  condition: "domain matches xyz"', '3:30', '                               ^'],
    ['folded', '  condition: >\n    killed\n    and', '3:14', '               ^'],
  ])('show the place of a mistake in a %s condition', (_, line, place, caret) => {
    const text = problem(`alerts:\n- name: a\n${line}\n`);
    expect(text).toStartWith(`egress.yaml:${place}: `);
    expect(text.split('\n')[2]).toBe(caret);
  });
});

const channel = (text: string) => documentOf(`channels: { c: ${text} }`).channels[0]!;

describe('the channels of a policy', () => {
  test('are read with what they leave out', () => {
    expect(channel('{ type: email, server: smtp.example.com, from: a@b.example }')).toEqual({
      name: 'c',
      type: 'email',
      host: 'smtp.example.com',
      port: 587,
      security: 'starttls',
      username: null,
      password: null,
      ca: null,
      from: 'a@b.example',
      to: [],
    });
    expect(
      channel(
        '{ type: email, server: "[::1]:465", username: u, password: env:P, from: a@b.example, to: c@d.example }',
      ),
    ).toMatchObject({ host: '::1', port: 465, security: 'tls', password: { env: 'P' }, to: ['c@d.example'] });
    expect(channel('{ type: email, server: mail.lan, security: none, from: a@b.example }')).toMatchObject({
      port: 25,
    });
    expect(channel('{ type: slack, url: file:/run/secrets/slack }')).toMatchObject({
      url: { file: '/run/secrets/slack' },
      addresses: [],
    });
    expect(channel('{ type: pagerduty, key: env:KEY }')).toMatchObject({
      url: 'https://events.pagerduty.com/v2/enqueue',
    });
    expect(
      channel('{ type: webhook, url: "http://10.1.2.3/x", secret: env:S, addresses: [10.0.0.0/8] }'),
    ).toMatchObject({ url: 'http://10.1.2.3/x', addresses: ['10.0.0.0/8'] });
    expect(channel('{ type: command, command: [/usr/bin/page, -q] }')).toMatchObject({
      command: ['/usr/bin/page', '-q'],
    });
    expect(secretsOf(channel('{ type: webhook, url: env:U, secret: env:S }'))).toEqual([
      { env: 'U' },
      { env: 'S' },
    ]);
  });

  test.each([
    ['no type', '{ url: env:X }', 'channel c has no type'],
    ['an unknown type', '{ type: slak, url: env:X }', "Did you mean 'slack'?"],
    [
      'a key of another type',
      '{ type: slack, url: env:X, key: env:Y }',
      "unknown key 'key' in a channel of type slack",
    ],
    [
      'half of a login',
      '{ type: email, server: a.b, from: a@b.example, username: u }',
      'only one of username and password',
    ],
    [
      'a password in the clear',
      '{ type: email, server: a.b, from: a@b.example, username: u, password: env:P, security: none }',
      'would send its password unencrypted',
    ],
    ['no server', '{ type: email, from: a@b.example }', 'channel c has no server'],
    [
      'a URL as a server',
      '{ type: email, server: "smtp://a.b", from: a@b.example }',
      'the server is no host',
    ],
    ['a sender that is none', '{ type: email, server: a.b, from: me }', 'this is not an e-mail address'],
    ['a relative program', '{ type: command, command: page }', 'absolute path of a program'],
    ['a variable that is none', '{ type: slack, url: "env:A-B" }', 'Write env: and the name of a variable'],
    ['a relative file', '{ type: slack, url: "file:secret" }', 'an absolute path'],
    ['no signature', '{ type: webhook, url: "https://a.example/" }', 'channel c has no secret'],
  ])('are refused with %s', (_, text, expected) => {
    expect(problem(`channels: { c: ${text} }`)).toContain(expected);
  });

  test.each([
    ['http://hook.example/', 'it is not encrypted'],
    ['http://127.0.0.1:7777/v1/kill', 'it is not encrypted'],
    ['https://127.0.0.1:7777/v1/kill', 'its host is a loopback address'],
    ['https://0x7f.1/', 'its host is a loopback address'],
    ['https://[::ffff:127.0.0.1]/', 'which only addresses: can admit'],
    ['https://169.254.169.254/latest', 'which only addresses: can admit'],
    ['https://localhost/', 'leads to this machine or its network'],
    ['https://metadata.google.internal/', 'leads to this machine or its network'],
    ['https://user:pass@hook.example/', 'it holds a user name or password'],
    ['https://hook.example/#x', 'it has a fragment'],
    ['ftp://hook.example/', 'it is not an https:// URL'],
    ['https:/hook.example/', 'it is not an https:// URL'],
    ['https://hook.example\\@evil.example/', 'it is not an https:// URL'],
    ['hook.example', 'it is not an https:// URL'],
  ])('do not post to %s', (url, expected) => {
    const text = problem(`channels: { c: { type: webhook, url: '${url}', secret: env:S } }`);
    expect(text).toContain(expected);
    expect(text).not.toContain('hook.example');
  });

  test('hold no secrets, and none is shown in an error', () => {
    const secret = 'xoxb-12345-hunter2';
    for (const line of [
      `{ type: slack, url: "https://hooks.slack.com/${secret}" }`,
      `{ type: email, server: a.b, from: a@b.example, username: u, password: ${secret} }`,
      `{ type: email, server: a.b, from: a@b.example, username: u, passwort: ${secret} }`,
      `{ type: webhook, url: "http://a.example/${secret}", secret: env:S }`,
      `{ type: pagerduty, key: ${secret} }`,
      `{ typ: slack, url: ${secret} }`,
    ]) {
      const text = problem(`channels:\n  c: ${line}\n`);
      expect(text).not.toBe('');
      expect(text).not.toContain('hunter2');
    }
    const reading = new Reading('allow: [a]', 'egress.yaml');
    reading.conceal(() => reading.problem(reading.root!, 'one'));
    reading.problem(reading.root!, 'two');
    expect(reading.problems.map(({ excerpt }) => excerpt)).toEqual(['', 'allow: [a]']);
  });
});

describe('a channel that nobody has configured', () => {
  test('is no error, and is named', () => {
    expect(missingChannels(policyOf(GUIDE))).toMatchObject([
      { recipient: 'security@company.com', alerts: ['blocked_request_spike', 'suspicious_domain_attempt'] },
      { recipient: 'oncall', alerts: ['suspicious_domain_attempt'] },
    ]);
  });

  test('is missing no longer once it is', () => {
    const mail = '  mail: { type: email, server: a.b, from: a@b.example }';
    const pager = '  oncall: { type: pagerduty, key: env:KEY }';
    expect(missingChannels(policyOf(`${GUIDE}channels:\n${mail}\n${pager}\n`))).toEqual([]);
    expect(
      missingChannels(policyOf(`${GUIDE}channels:\n${mail}\n`)).map(({ recipient }) => recipient),
    ).toEqual(['oncall']);
    expect(
      missingChannels(policyOf(`${GUIDE}channels:\n${mail}\n  oncal: { type: desktop }\n`))[0]!.fix,
    ).toBe("Did you mean 'oncal'?");
  });
});
