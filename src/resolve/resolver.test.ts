import { describe, expect, test } from 'bun:test';
import { parseAddress } from '../names/address.ts';
import { fromTable, startNameServer } from './nameserver.fixture.ts';
import { createResolver } from './resolver.ts';

const NONE = new Map();
const address = parseAddress('192.0.2.1')!;

test('the policy’s hosts answer before anybody is asked', async () => {
  const server = await startNameServer(fromTable({ 'db.example': { A: ['192.0.2.66'] } }));
  const hosts = new Map([['db.example', [address]]]);
  const resolver = createResolver({ upstream: `127.0.0.1:${server.port}`, hosts });
  expect(await resolver.resolve('db.example')).toEqual({ ok: true, addresses: [address] });
  expect(server.asked).toEqual([]);
  server.close();
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
