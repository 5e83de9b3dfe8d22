/**
 * How many imitations are caught, and how many honest names are taken for one. The figures in docs/alerts.md are
 * printed by this test.
 */
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { parseHost } from './host.ts';
import { imitationsOf } from './imitations.fixture.ts';
import { type LookalikeIndex, lookalikeIndex, lookalikeOf } from './lookalike.ts';
import { registrableDomain } from './suffix.ts';

const file = (name: string) => Bun.file(join(import.meta.dir, name));
const corpus: { allowed: string[]; lookalikes: { kind: string; host: string; of: string }[] } =
  await file('lookalikes.fixture.json').json();
const real = (await file('realhosts.fixture.txt').text())
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#') && parseHost(line)?.kind === 'name');

/** Hosts that the corpus does not have, so that what is measured is the kinds and not the cases. */
const OTHERS = [
  'gitlab.com letsencrypt.org docker.io api.mistral.ai slack.com discord.com api.groq.com api.cohere.com',
  'login.microsoftonline.com api.perplexity.ai arxiv.org en.wikipedia.org api.linear.app api.notion.com',
  'jira.example-corp.co.uk debian.org api.deepseek.com together.ai bitbucket.org stackoverflow.com',
].flatMap((line) => line.split(' '));

function caught(index: LookalikeIndex, cases: readonly { kind: string; host: string }[]) {
  const kinds = new Map<string, { caught: number; of: number }>();
  for (const { kind, host } of cases) {
    const count = kinds.get(kind) ?? { caught: 0, of: 0 };
    count.of++;
    if (lookalikeOf(index, host) !== null) count.caught++;
    kinds.set(kind, count);
  }
  return kinds;
}

const share = (counts: Iterable<{ caught: number; of: number }>) => {
  const all = [...counts];
  return all.reduce((sum, each) => sum + each.caught, 0) / all.reduce((sum, each) => sum + each.of, 0);
};

const flagged = (allowed: readonly string[]) => {
  const index = lookalikeIndex(allowed);
  return real.filter((host) => lookalikeOf(index, host) !== null);
};

describe('lookalikes', () => {
  test('of the corpus are caught, at least 95 % of every kind, and nearly all are traced to the right host', () => {
    const index = lookalikeIndex(corpus.allowed);
    const kinds = caught(index, corpus.lookalikes);
    expect([...kinds].filter(([, { caught, of }]) => caught / of < 0.95)).toEqual([]);
    const right = corpus.lookalikes.filter(({ host, of }) => lookalikeOf(index, host)?.of === of);
    expect(right.length / corpus.lookalikes.length).toBeGreaterThan(0.98);
    console.log(`corpus: ${(share(kinds.values()) * 100).toFixed(1)} % of ${corpus.lookalikes.length}`);
  });

  test('of hosts outside the corpus are caught as well', () => {
    const index = lookalikeIndex(OTHERS);
    const cases = OTHERS.flatMap(imitationsOf).filter(
      ({ host }) => parseHost(host)?.kind === 'name' && !index.owners.has(registrableDomain(host) ?? ''),
    );
    const kinds = caught(index, cases);
    expect([...kinds].filter(([, { caught, of }]) => caught / of < 0.95)).toEqual([]);
    console.log(`others: ${(share(kinds.values()) * 100).toFixed(1)} % of ${cases.length}`);
  });

  test.each([
    ['corpus', corpus.allowed],
    ['others', OTHERS],
  ])('are seen in at most 0.5 %% of real host names, with the allowlist of %s', (name, allowed) => {
    expect(real.length).toBeGreaterThan(3_000);
    const found = flagged(allowed);
    expect(found.length / real.length).toBeLessThanOrEqual(0.005);
    console.log(`false, ${name}: ${found.length} of ${real.length}: ${found.join(' ')}`);
  });
});
