import { afterEach, describe, expect, test } from 'bun:test';
import { type Answer, encode } from 'dns-packet';
import { parseAddress } from '../names/address.ts';
import {
  type Asking,
  fromTable,
  honest,
  type NameServer,
  type Script,
  startNameServer,
} from './nameserver.fixture.ts';
import { createServerUpstream } from './server.ts';

let server: NameServer | undefined;
afterEach(() => {
  server?.close();
  server = undefined;
});

const LOOPBACK = parseAddress('127.0.0.1')!;
async function lookUp(script: Script, name = 'api.example', attempt = 300) {
  server = await startNameServer(script);
  const found = await createServerUpstream({ address: LOOPBACK, port: server.port }, attempt)(name);
  return found.ok ? { addresses: found.addresses.map(({ text }) => text), ttl: found.ttl } : found.detail;
}
const a = (data: string, name = 'api.example'): Answer => ({ type: 'A', name, data, ttl: 60 });
const onlyA =
  (script: Script): Script =>
  (asking) =>
    asking.type === 'A' ? script(asking) : [{}];

describe('a given name server', () => {
  test('is asked for both families and gives all addresses', async () => {
    const table = { 'api.example': { A: ['192.0.2.1', '10.0.0.1'], AAAA: ['2001:db8::1'], ttl: 7 } };
    expect(await lookUp(fromTable(table))).toEqual({
      addresses: ['192.0.2.1', '10.0.0.1', '2001:db8::1'],
      ttl: 7,
    });
    expect(server!.asked.map(({ type, transport }) => [type, transport]).sort()).toEqual([
      ['A', 'udp'],
      ['AAAA', 'udp'],
    ]);
  });

  test('that has one family only, or one that works, is enough', async () => {
    expect(await lookUp(fromTable({ 'api.example': { A: ['192.0.2.1'] } }))).toEqual({
      addresses: ['192.0.2.1'],
      ttl: 60,
    });
    server!.close();
    const halfBroken: Script = ({ type }) =>
      type === 'A' ? [{ answers: [a('192.0.2.1')] }] : [{ flags: 2 }];
    expect(await lookUp(halfBroken)).toEqual({ addresses: ['192.0.2.1'], ttl: 0 });
  });

  test('says why there is nothing', async () => {
    expect(await lookUp(() => [{ flags: 3 }])).toBe('nxdomain');
    server!.close();
    expect(await lookUp(() => [{ flags: 5 }])).toBe('refused');
    server!.close();
    expect(await lookUp(() => [{}])).toBe('no addresses');
    server!.close();
    expect(
      await lookUp(() => [{ answers: [{ type: 'CNAME', name: 'api.example', data: 'api.example' }] }]),
    ).toMatch(/alias/);
  });

  test('that is silent is asked twice, then given up', async () => {
    expect(await lookUp(() => [], 'api.example', 60)).toBe('timeout');
    expect(server!.asked.length).toBe(4);
  });

  test('that loses the first question is found by the second', async () => {
    let first = true;
    const losing = onlyA(() => {
      const reply = first ? [] : [{ answers: [a('192.0.2.1')] }];
      first = false;
      return reply;
    });
    expect(await lookUp(losing, 'api.example', 60)).toMatchObject({ addresses: ['192.0.2.1'] });
  });

  test('that is not there is unreachable', async () => {
    const gone = await startNameServer(() => []);
    gone.close();
    const found = await createServerUpstream({ address: LOOPBACK, port: gone.port }, 200)('api.example');
    expect(found).toEqual({ ok: false, detail: 'the name server is unreachable' });
  });

  test('with more than a datagram holds is asked again over TCP', async () => {
    const many = Array.from({ length: 60 }, (_, i) => `192.0.2.${i}`);
    const big = onlyA(({ transport }) =>
      transport === 'udp' ? [{ flags: 0x200 }] : [{ answers: many.map((data) => a(data)) }],
    );
    expect(await lookUp(big)).toMatchObject({ addresses: many });
    server!.close();
    expect(await lookUp(onlyA(({ transport }) => (transport === 'udp' ? [{ flags: 0x200 }] : [])))).toBe(
      'the name server hung up',
    );
  });

  test('that does not repeat the letter case is asked again over TCP', async () => {
    const lowering = onlyA((asking) => [
      { questions: [{ name: asking.name, type: 'A' }], answers: [a('192.0.2.1')] },
    ]);
    expect(await lookUp(lowering, 'a-rather-long-name.api.example')).toBe('no addresses');
    expect(server!.asked.map(({ transport }) => transport)).toContain('tcp');
  });
});

describe('a forged answer', () => {
  const forged = (asking: Asking, change: object) =>
    encode({ ...honest(asking, { answers: [a('192.0.2.66')] }), ...change });
  const genuine = { answers: [a('192.0.2.1')] };

  test('with another id, name or type, or that is a question, is passed over', async () => {
    const script = onlyA((asking) => [
      forged(asking, { id: asking.id ^ 1 }),
      forged(asking, { questions: [{ name: 'b.example', type: 'A' }] }),
      forged(asking, { questions: [{ name: asking.sent, type: 'AAAA' }] }),
      forged(asking, { type: 'query' }),
      forged(asking, { questions: [] }),
      genuine,
    ]);
    expect(await lookUp(script)).toMatchObject({ addresses: ['192.0.2.1'] });
  });

  test('guessed at in great number makes us ask over TCP, where guessing is no use', async () => {
    const script = onlyA((asking) =>
      asking.transport === 'tcp'
        ? [genuine]
        : Array.from({ length: 50 }, (_, i) => forged(asking, { id: (asking.id + 1 + i) & 0xffff })),
    );
    expect(await lookUp(script)).toMatchObject({ addresses: ['192.0.2.1'] });
  });

  test('has to guess: ids, ports and letter case differ from question to question', async () => {
    server = await startNameServer(fromTable({ 'a-rather-long-name.api.example': { A: ['192.0.2.1'] } }));
    const upstream = createServerUpstream({ address: LOOPBACK, port: server.port });
    for (let i = 0; i < 8; i++) await upstream('a-rather-long-name.api.example');
    const distinct = (key: 'id' | 'clientPort' | 'sent') =>
      new Set(server!.asked.map((asking) => asking[key])).size;
    expect(distinct('id')).toBeGreaterThan(12);
    expect(distinct('clientPort')).toBeGreaterThan(8);
    expect(distinct('sent')).toBeGreaterThan(12);
  });

  test('cannot add addresses of other names or by other records', async () => {
    const script = onlyA(() => [
      {
        answers: [a('192.0.2.66', 'b.example'), a('192.0.2.1')],
        authorities: [a('192.0.2.67')],
        additionals: [a('192.0.2.68')],
      },
    ]);
    expect(await lookUp(script)).toMatchObject({ addresses: ['192.0.2.1'] });
  });
});
