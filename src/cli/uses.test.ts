import { expect, test } from 'bun:test';
import { compile } from '../policy/compile.ts';
import { readDocument } from '../policy/document.ts';
import { rulesOf } from '../policy/policy.ts';
import { usesOf } from './uses.ts';

test('a use counts for every rule that covers it', () => {
  const read = readDocument(
    `version: 1
allow:
  - a.test
  - "*.a.test"
  - { host: b.test, agents: [bot] }
  - 203.0.113.0/24
deny: [a.test]`,
    'p.yaml',
  );
  if (!read.ok) throw new Error('the policy of this test is broken');
  const used = [
    { host: 'a.test', agent: 'x', last: 5, count: 2 },
    { host: 'deep.b.a.test', agent: 'x', last: 7, count: 1 },
    { host: 'a.test', agent: 'y', last: 3, count: 4 },
    { host: 'b.test', agent: 'x', last: 9, count: 9 },
    { host: '203.0.113.9', agent: 'x', last: 1, count: 1 },
    { host: '(other)', agent: 'x', last: 1, count: 1 },
  ];
  const uses = [...usesOf([...rulesOf(compile([read.document]))], used).values()];
  expect(uses).toEqual([
    { last: 5, count: 6 },
    { last: 7, count: 1 },
    { last: null, count: 0 },
    { last: 1, count: 1 },
    { last: null, count: 0 },
  ]);
});
