import { describe, expect, test } from 'bun:test';
import { parseAddress } from '../names/address.ts';
import { fromTable, startNameServer } from './nameserver.fixture.ts';
import { createResolver, createResolverOn } from './resolver.ts';
import type { Found, Upstream } from './upstream.ts';

const NONE = new Map();
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

describe('the resolver', () => {
  test('answers from the policy’s hosts before anybody is asked', async () => {
    const { upstream, asked } = heldUpstream(found(0));
    const resolver = createResolverOn(upstream, new Map([['db.example', [address]]]));
    expect(await resolver.resolve('db.example')).toEqual({ ok: true, addresses: [address] });
    expect(asked).toEqual([]);
  });

  test('asks once for equal lookups in flight', async () => {
    const { upstream, asked, release } = heldUpstream(found(0));
    const resolver = createResolverOn(upstream, NONE);
    const lookups = [
      resolver.resolve('a.example'),
      resolver.resolve('a.example'),
      resolver.resolve('b.example'),
    ];
    release();
    for (const lookup of lookups) expect(await lookup).toEqual({ ok: true, addresses: [address] });
    expect(asked).toEqual(['a.example', 'b.example']);
    await resolver.resolve('a.example');
    expect(asked).toEqual(['a.example', 'b.example', 'a.example']);
  });

  test('keeps an answer for its TTL, and a failure not at all', async () => {
    for (const [answer, times] of [
      [found(60), 1],
      [found(0), 2],
      [{ ok: false, detail: 'nxdomain' }, 2],
    ] as const) {
      const { upstream, asked, release } = heldUpstream(answer);
      release();
      const resolver = createResolverOn(upstream, NONE);
      const first = await resolver.resolve('a.example');
      expect(await resolver.resolve('a.example')).toEqual(first);
      expect(asked.length).toBe(times);
    }
  });

  test('runs a bounded number of lookups and refuses what does not fit the queue', async () => {
    const { upstream, asked, release } = heldUpstream(found(0));
    const resolver = createResolverOn(upstream, NONE);
    const lookups = Array.from({ length: 2_000 }, (_, i) => resolver.resolve(`n${i}.example`));
    await Promise.resolve();
    expect(asked.length).toBe(64);
    release();
    const answers = await Promise.all(lookups);
    expect(answers.filter(({ ok }) => ok).length).toBe(64 + 1_024);
    expect(answers.at(-1)).toEqual({ ok: false, detail: 'too many lookups at once' });
    expect(await resolver.resolve('late.example')).toMatchObject({ ok: true });
  });

  test('does not wait for ever', async () => {
    const { upstream } = heldUpstream(found(0));
    expect(await createResolverOn(upstream, NONE, 20).resolve('a.example')).toEqual({
      ok: false,
      detail: 'timeout',
    });
  });

  test('outlives an upstream that throws', async () => {
    const resolver = createResolverOn(() => Promise.reject(new Error('bug')), NONE);
    expect(await resolver.resolve('a.example')).toEqual({ ok: false, detail: 'failed' });
  });
});

describe('the upstream', () => {
  test('may be a server on a port of its own', async () => {
    const server = await startNameServer(fromTable({ 'a.example': { A: ['192.0.2.1'] } }));
    const resolver = createResolver({ upstream: `127.0.0.1:${server.port}`, hosts: NONE });
    expect(await resolver.resolve('a.example')).toEqual({ ok: true, addresses: [address] });
    server.close();
  });

  test('may be the system, which knows names of its own', async () => {
    const resolver = createResolver({ upstream: 'system', hosts: NONE });
    const answer = await resolver.resolve('localhost');
    expect(answer.ok && answer.addresses.map(({ text }) => text)).toContain('127.0.0.1');
  });

  test('that means nothing resolves nothing', async () => {
    for (const upstream of ['', 'http://127.0.0.1/', 'ns.example', '127.0.0.1:0', '127.0.0.1:65536'])
      expect(await createResolver({ upstream, hosts: NONE }).resolve('a.example')).toEqual({
        ok: false,
        detail: 'dns.upstream is malformed',
      });
  });
});
