import { describe, expect, test } from 'bun:test';
import { policyOf } from './policy.fixture.ts';
import { widenedBy } from './widening.ts';

const widened = (before: string, after: string) => widenedBy(policyOf(before), policyOf(after));

describe('a change is told of', () => {
  test('where an agent inherits again, its section being gone or not', () => {
    const before = 'agents: {jail: {inherit: false, allow: [a.com]}}';
    for (const after of [
      'version: 1',
      'agents: {jail: {allow: [a.com]}}',
      'allow: [{host: b.com, agents: [jail]}]',
    ])
      expect(widened(before, after)).toEqual(['jail inherits the rules for every agent from now on']);
    expect(widened(before, before)).toEqual([]);
  });

  test('where the last denial for an agent, or its daily limit, is gone', () => {
    expect(widened('agents: {bot: {deny: [a.com]}}', 'version: 1')).toEqual([
      'nothing is denied to bot in particular any more',
    ]);
    expect(widened('agents: {bot: {limits: {bytes_up: 5 MB/day}}}', 'agents: {bot: {}}')).toEqual([
      'bot may send more in a day than before',
    ]);
  });

  test('where an address is somebody else’s', () => {
    const before = 'agents: {ci: {from: [10.0.0.0/8]}, jail: {from: [10.2.0.0/16]}}';
    expect(widened(before, 'agents: {ci: {from: [10.0.0.0/8]}}')).toEqual([
      '10.2.0.0/16 is taken for ci from now on, not for jail',
    ]);
    expect(
      widened(
        'agents: {jail: {from: [10.0.0.0/8]}}',
        'agents: {jail: {from: [10.0.0.0/8]}, ci: {from: [10.9.0.0/16]}}',
      ),
    ).toEqual(['10.9.0.0/16 is taken for ci from now on, not for jail']);
  });

  test('not where it only takes away', () => {
    expect(widened('version: 1', 'agents: {bot: {from: [10.0.0.0/8]}}')).toEqual([]);
    expect(widened('agents: {bot: {from: [10.0.0.0/8], allow: [a.com]}}', 'version: 1')).toEqual([]);
    expect(
      widened('version: 1', 'agents: {bot: {inherit: false, deny: [a.com], limits: {bytes_up: 1 B/day}}}'),
    ).toEqual([]);
  });
});
