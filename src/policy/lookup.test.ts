import { expect, test } from 'bun:test';
import { hashEnd, hashKey } from './lookup.ts';
import { answerOf, policyOf } from './policy.fixture.ts';

/** Names whose hashes are the same; a few of 300,000 are. */
function collisions(): Array<[string, string]> {
  const pairs: Array<[string, string]> = [];
  const seen = new Map<number, string>();
  for (let i = 0; i < 300_000; i++) {
    const name = `${(i * 2_654_435_761) % 4_294_967_291}x${(i * i * 40_503) % 999_983}.example.com`;
    const hash = hashEnd(hashKey(Buffer.from(name), 0, name.length), 0);
    const other = seen.get(hash);
    if (other !== undefined) pairs.push([other, name]);
    else seen.set(hash, name);
  }
  return pairs;
}

test('two names with the same hash are still two names', () => {
  const pairs = collisions();
  expect(pairs.length).toBeGreaterThan(0);
  for (const [one, other] of pairs) {
    expect(answerOf(policyOf(`allow: [${one}]`), other)).toBe('no-rule');
    const both = policyOf(`allow: [${one}]\ndeny: [${other}]`);
    expect(answerOf(both, one)).toBe('allow');
    expect(answerOf(both, other)).toBe('denied');
    const agents = policyOf(`allow: [{host: ${one}, agents: [bot]}, {host: ${other}, agents: [ann]}]`);
    expect(answerOf(agents, one)).toBe('allow');
    expect(answerOf(agents, other)).toBe('agent');
  }
});
