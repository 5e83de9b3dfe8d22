import { expect, test } from 'bun:test';
import { parseAddress } from '../names/address.ts';
import { createLookups } from './lookups.ts';
import type { Found, Upstream } from './upstream.ts';

const address = parseAddress('192.0.2.1')!;
const found = (ttl: number): Found => ({ ok: true, addresses: [address], ttl });

/** An upstream that counts its questions and answers when told. */
function heldUpstream(answer: Found) {
  const asked: string[] = [];
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const upstream: Upstream = (name) => {
    asked.push(name);
    return gate.then(() => answer);
  };
  return { upstream, asked, release: () => release() };
}

test('equal lookups in flight are asked once', async () => {
  const { upstream, asked, release } = heldUpstream(found(0));
  const lookups = createLookups(upstream);
  const both = [lookups.find('a.example'), lookups.find('a.example'), lookups.find('b.example')];
  release();
  for (const lookup of both) expect(await lookup).toEqual({ ok: true, addresses: [address] });
  expect(asked).toEqual(['a.example', 'b.example']);
  await lookups.find('a.example');
  expect(asked).toEqual(['a.example', 'b.example', 'a.example']);
});

test('an answer is kept for its TTL, and a failure not at all', async () => {
  for (const [answer, times] of [
    [found(60), 1],
    [found(0), 2],
    [{ ok: false, detail: 'nxdomain' }, 2],
  ] as const) {
    const { upstream, asked, release } = heldUpstream(answer);
    release();
    const lookups = createLookups(upstream);
    const first = await lookups.find('a.example');
    expect(await lookups.find('a.example')).toEqual(first);
    expect(asked.length).toBe(times);
  }
});

test('a bounded number of lookups runs, and what does not fit the queue is refused', async () => {
  const { upstream, asked, release } = heldUpstream(found(0));
  const lookups = createLookups(upstream);
  const all = Array.from({ length: 2_000 }, (_, i) => lookups.find(`n${i}.example`));
  await Promise.resolve();
  expect(asked.length).toBe(64);
  release();
  const answers = await Promise.all(all);
  expect(answers.filter(({ ok }) => ok).length).toBe(64 + 1_024);
  expect(answers.at(-1)).toEqual({ ok: false, detail: 'too many lookups at once' });
  expect(await lookups.find('late.example')).toMatchObject({ ok: true });
});

test('names of a domain that does not answer keep no others waiting', async () => {
  const { upstream } = heldUpstream(found(0));
  const lookups = createLookups((name) =>
    name.endsWith('slow.example') ? upstream(name) : Promise.resolve(found(0)),
  );
  const slow = Array.from({ length: 2_000 }, (_, i) => lookups.find(`n${i}.slow.example`));
  expect(await slow.at(-1)).toEqual({ ok: false, detail: 'too many lookups at once' });
  for (let i = 0; i < 100; i++) expect(await lookups.find(`n${i}.quick.example`)).toMatchObject({ ok: true });
});

test('what nobody wants any more when its turn comes is not asked', async () => {
  const { upstream, asked, release } = heldUpstream(found(0));
  const lookups = createLookups(upstream);
  let wanted = true;
  const names = Array.from({ length: 20 }, (_, i) => `n${i}.slow.example`);
  const all = names.map((name) => lookups.find(name, () => wanted));
  const shared = lookups.find('n19.slow.example');
  await Promise.resolve();
  wanted = false;
  release();
  expect(await all[18]).toEqual({ ok: false, detail: 'given up' });
  expect(await shared).toMatchObject({ ok: true });
  expect(asked).toEqual([...names.slice(0, 16), 'n19.slow.example']);
});

test('nobody waits for ever', async () => {
  const { upstream } = heldUpstream(found(0));
  expect(await createLookups(upstream, 20).find('a.example')).toEqual({
    ok: false,
    detail: 'timeout',
  });
});

test('an upstream that throws fails its own lookup', async () => {
  const lookups = createLookups(() => Promise.reject(new Error('bug')));
  expect(await lookups.find('a.example')).toEqual({ ok: false, detail: 'failed' });
});
