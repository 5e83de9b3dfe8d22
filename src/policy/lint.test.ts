import { describe, expect, test } from 'bun:test';
import { lint } from './lint.ts';
import { documentOf } from './policy.fixture.ts';

const warningsOf = (text: string) => lint(documentOf(text)).map(({ message }) => message);

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

  test('is given for rules that cannot hold', () => {
    expect(warningsOf('allow: [10.0.0.5]')[0]).toContain('10.0.0.5 is a private address');
    expect(warningsOf('allow: [a.example.com]\nhosts: {a.example.com: 127.0.0.1}')[0]).toContain('loopback');
    expect(warningsOf('allow: [{host: 10.0.0.5, addresses: [10.0.0.0/8]}]')).toEqual([]);
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
