import { describe, expect, test } from 'bun:test';
import { lint } from './lint.ts';
import { lintService } from './lintservice.ts';
import { documentOf, NOW } from './policy.fixture.ts';

const warningsOf = (text: string) => lint(documentOf(text), NOW).map(({ message }) => message);

describe('a warning', () => {
  test('is given for wildcards on what many share', () => {
    for (const host of ['*.amazonaws.com', '*.google.com', '*.slack.com'])
      expect(warningsOf(`allow: ["${host}"]`)[0]).toContain('is wide');
    expect(warningsOf('allow: [{host: "*.github.io", force: true}]')[0]).toContain('anybody can have a name');
    expect(warningsOf('allow: [{host: "*", force: true}]')).toEqual(['any host at all may be reached']);
  });

  test('is given for hosts that anybody can write to', () => {
    for (const host of [
      'gist.github.com',
      'hooks.slack.com',
      'x.webhook.site',
      '"*.webhook.site"',
      'webhook.site',
    ])
      expect(warningsOf(`allow: [${host}]`)[0]).toContain('anybody can send data');
    expect(warningsOf('agents: {bot: {allow: [pastebin.com]}}').length).toBe(1);
  });

  test('is given for wide ranges, and for addresses that reach the metadata service', () => {
    expect(warningsOf('allow: [203.0.0.0/8]')[0]).toContain('wide range');
    expect(warningsOf('allow: [{host: a.example.com, addresses: [169.254.0.0/16]}]')[0]).toContain(
      'metadata',
    );
  });

  test('is given for addresses that hold the metadata service of any cloud', () => {
    const warned = (range: string) =>
      warningsOf(`allow: [{host: a.example.com, addresses: ["${range}"]}]`).join();
    expect(warned('100.100.100.200')).toBe('100.100.100.200 holds the metadata service of a cloud');
    expect(warned('100.64.0.0/10')).toContain('of a cloud (100.100.100.200)');
    for (const range of ['fd00:ec2::254', 'fd00::/8', 'fe80::/10', '168.63.129.16', '0.0.0.0/1', '::/0'])
      expect(warned(range)).toContain('the metadata service of a cloud');
    for (const range of ['10.0.0.0/8', '192.168.0.0/16', '127.0.0.0/8', 'fd12::/16'])
      expect(warned(range)).toBe('');
  });

  test('is given for a denial that has ended', () => {
    const denials = (until: string) => `
deny: [{host: a.test, until: ${until}}]
agents: {bot: {deny: [{host: b.test, until: ${until}}]}}`;
    expect(warningsOf(denials('2025-12-31T23:59:59Z'))).toEqual([
      'the denial ended 2025-12-31T23:59:59.000Z and refuses nothing any more',
      'the denial ended 2025-12-31T23:59:59.000Z and refuses nothing any more',
    ]);
    expect(warningsOf(denials('2026-01-01T00:00:01Z'))).toEqual([]);
  });

  test('is given for rules that cannot hold', () => {
    expect(warningsOf('allow: [10.0.0.5]')[0]).toContain('10.0.0.5 is a private address');
    expect(warningsOf('allow: [0.0.0.0]')[0]).toContain('0.0.0.0 is an unspecified address');
    expect(warningsOf('allow: [10.1.0.0/16]')[0]).toContain('10.1.0.0 is a private address');
    for (const range of ['0.0.0.0/1', '10.0.0.0/7', '"64:ff9b::/96"', '"::/1"'])
      expect(warningsOf(`allow: [${range}]`).join()).not.toContain('cannot hold');
    expect(warningsOf('allow: [a.example.com]\nhosts: {a.example.com: 127.0.0.1}')[0]).toContain('loopback');
    expect(warningsOf('allow: [localhost]')[0]).toContain('localhost is this machine');
    for (const host of ['10.0.0.5', 'localhost', 'api.localhost'])
      expect(warningsOf(`allow: [{host: ${host}, addresses: [10.0.0.0/8, 127.0.0.0/8]}]`)).toEqual([]);
  });

  test('is given for a limit that another rule lifts', () => {
    const limits = 'limits: {bytes_up: 5 MB/day}';
    expect(warningsOf(`presets: [default]\nallow: [{host: api.openai.com, ${limits}}]`)).toEqual([
      'its limit does nothing: preset default allows the same without one',
    ]);
    for (const other of ['up.example.com', '"*.example.com"', '{host: up.example.com, ports: [443, 8443]}'])
      expect(warningsOf(`allow:\n  - {host: up.example.com, ${limits}}\n  - ${other}`)).toEqual([
        'it lifts the limit of line 2',
      ]);
    expect(warningsOf(`allow: [a.com]\nagents:\n  bot: {allow: [{host: a.com, ${limits}}]}`)).toEqual([
      'it lifts the limit of line 3',
    ]);
  });

  test('is not given for a limit that only some are spared, or that holds elsewhere', () => {
    const limited = '{host: up.example.com, limits: {bytes_up: 5 MB/day}}';
    for (const other of [
      'other.example.com',
      '"*.up.example.com"',
      '{host: up.example.com, ports: [22]}',
      '{host: up.example.com, agents: [big]}',
      '{host: up.example.com, limits: {bytes_up: 9 MB/day}}',
    ])
      expect(warningsOf(`allow:\n  - ${limited}\n  - ${other}`)).toEqual([]);
    expect(
      warningsOf(`allow: [up.example.com]\nagents: {bot: {inherit: false, allow: [${limited}]}}`),
    ).toEqual([]);
    expect(warningsOf(`allow: [${limited}]\ndeny: [up.example.com]`)).toEqual([]);
  });

  test('is given for an upgrade where nothing is seen of HTTP', () => {
    expect(warningsOf('allow: [{host: a.com, ports: [443], upgrade: [websocket]}]')[0]).toContain(
      'no effect',
    );
    expect(warningsOf('allow: [{host: a.com, upgrade: [websocket]}]')).toEqual([]);
  });

  test('is given for listeners that others reach, and for wide sources', () => {
    const messages = (text: string) => lintService(documentOf(text)).map(({ message }) => message);
    expect(messages('listen: [127.0.0.1:1, "[::1]:2", unix:/run/a, {dns: 10.0.0.1:53, agent: vm}]')).toEqual(
      [],
    );
    expect(messages('listen: [0.0.0.0:8880]')).toEqual([
      'tokens cross the network in the clear to 0.0.0.0:8880',
    ]);
    expect(messages('listen: [{address: 10.0.0.1:1, tls: {certificate: /c, key: /k}}]')).toEqual([]);
    expect(
      messages('listen: [{transparent: 10.0.0.1:1, agent: vm}, {address: 10.0.0.1:2, agent: ci}]'),
    ).toEqual(['whoever reaches 10.0.0.1:1 is taken for vm', 'whoever reaches 10.0.0.1:2 is taken for ci']);
    expect(messages('agents: {bot: {from: [0.0.0.0/0, 10.0.0.0/8, "2000::/3"]}}')).toEqual([
      'whoever comes from 0.0.0.0/0 is taken for bot',
      'whoever comes from 2000::/3 is taken for bot',
    ]);
  });

  test('is given for a rule that repeats another', () => {
    expect(warningsOf('allow:\n  - a.example.com\n  - A.example.com.\n')).toEqual(['it repeats line 2']);
  });

  test('is not given for ordinary rules and for denials', () => {
    expect(
      warningsOf('allow: [api.yourcompany.com, "*.internal.company.com", your-bucket.s3.amazonaws.com]'),
    ).toEqual([]);
    expect(warningsOf('deny: ["*", "*.google.com", gist.github.com]')).toEqual([]);
  });
});
