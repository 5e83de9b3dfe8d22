import { describe, expect, test } from 'bun:test';
import { tooBroad } from '../breadth.ts';
import { readPattern } from '../pattern.ts';
import { answerOf, documentOf, policyOf } from '../policy.fixture.ts';
import { BUILT_IN, builtInDocument, PRESETS } from './presets.ts';

const [defaults] = PRESETS;

describe('the built-in policy', () => {
  test('allows the default allowlist and nothing else', () => {
    const document = documentOf(BUILT_IN);
    expect(builtInDocument(document.file)).toEqual(document);
    expect(document.presets.map(({ name }) => name)).toEqual(['default']);
    expect(document.rules).toEqual([]);
    const policy = policyOf(BUILT_IN);
    for (const host of defaults!.hosts) expect(answerOf(policy, host)).toBe('allow');
    for (const host of ['attacker.com', 'gist.github.com', 'api.github.com'])
      expect(answerOf(policy, host)).toBe('no-rule');
  });

  test('has the four names of the default allowlist', () => {
    expect(defaults!.name).toBe('default');
    expect(defaults!.hosts.length).toBe(4);
    expect(defaults!.hosts.slice(0, 3)).toEqual(['api.anthropic.com', 'api.openai.com', 'github.com']);
    expect(defaults!.hosts[3]).toStartWith('registry.');
  });
});

describe('every preset', () => {
  test('has a name of its own, a version, a source and a risk', () => {
    expect(new Set(PRESETS.map(({ name }) => name)).size).toBe(PRESETS.length);
    for (const { version, source, risk } of PRESETS) {
      expect(version).toMatch(/^\d+$/);
      expect(source.length).toBeGreaterThan(20);
      expect(risk.length).toBeGreaterThan(20);
    }
  });

  test('names hosts in their canonical form, none too broad, none twice', () => {
    for (const { hosts } of PRESETS) {
      expect(new Set(hosts).size).toBe(hosts.length);
      for (const host of hosts) {
        const result = readPattern(host);
        expect(result.ok && result.pattern.text).toBe(host);
        expect(result.ok && tooBroad(result.pattern)).toBeNull();
      }
    }
  });
});
