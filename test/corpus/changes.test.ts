/** The cases that are about what changes while connections stand: policies, the kill switch, bugs, and clients that stall. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { until } from '../rig/witness.ts';
import { inRig } from '../rig/world.ts';
import { Client } from './client.ts';
import { helloTo } from './clienthello.ts';
import { ANSWER, HEARD } from './origin.ts';
import { policyText } from './policytext.ts';
import { GOOD_ADDRESS, openStand, type Stand } from './stand.ts';
import { createSubject, type Gateway } from './subject.ts';

const ALLOWED = policyText({ allow: ['allowed.test'] });
const NOTHING = policyText({ allow: [] });
const HELLO = helloTo('allowed.test');
const CONNECT = 'CONNECT allowed.test:443 HTTP/1.1\r\nHost: allowed.test:443\r\n\r\n';
const SOCKS = Buffer.from('050100030c616c6c6f7765642e7465737401bb', 'hex');
/** Milliseconds in which a revocation takes hold; a gateway looks twice a second. */
const SOON = 1_000;

describe.skipIf(!inRig)('while connections stand', () => {
  let stand: Stand;
  let subject: Gateway;
  const clients: Client[] = [];
  beforeAll(async () => {
    stand = await openStand();
    subject = await createSubject();
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.leave();
    subject.kill(false);
    subject.breakDecisions(false);
    stand.answer({});
    stand.forget();
  });
  afterAll(async () => {
    await subject.close();
    stand.close();
  });

  const open = (port = subject.proxyPort) => {
    const client = new Client(port);
    clients.push(client);
    return client;
  };
  const transparentPort = () =>
    subject.transparentPort({ address: GOOD_ADDRESS, port: 443, name: 'allowed.test' });
  const said = async (client: Client, octets: string | Buffer, answer: string) => {
    client.say(octets);
    expect(await client.until((heard) => heard.includes(answer), 1_500)).toBe(true);
    return client;
  };
  const tunnel = async () => said(await said(open(), CONNECT, '\r\n\r\n'), HELLO, HEARD);
  const socksTunnel = async () => {
    const client = await said(open(), '\x05\x01\0', '\x05\0');
    return said(await said(client, SOCKS, '\x05\0\0\x01'), HELLO, HEARD);
  };
  const transparent = async () => said(open(transparentPort()), HELLO, HEARD);
  /** A request whose body goes on. */
  const upload = async () => {
    const client = open();
    client.say(
      'POST http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 1000000000\r\n\r\nbegun',
    );
    expect(await until(() => stand.good.visits.some(({ octets }) => octets.includes('begun')))).toBe(true);
    return client;
  };
  const KINDS = { tunnel, socksTunnel, transparent, upload };

  const CUTS: Record<string, () => void> = {
    'a rule is removed': () => subject.load(NOTHING),
    'a rule is narrowed to another port': () =>
      subject.load(
        policyText({ allow: [] }, {}, '').replace(
          'allow:\n',
          'allow:\n  - {host: allowed.test, ports: [8443]}\n',
        ),
      ),
    'a denial is added': () => subject.load(policyText({ allow: ['allowed.test'], deny: ['allowed.test'] })),
    'the kill switch is on': () => subject.kill(true),
  };
  for (const [what, change] of Object.entries(CUTS))
    test(`${what}: every connection is cut within a second, on both sides (RL-006, RL-008, RL-014, UP-008)`, async () => {
      subject.load(ALLOWED);
      const live = await Promise.all(Object.values(KINDS).map((kind) => kind()));
      const started = performance.now();
      change();
      expect(await until(() => live.every(({ end }) => end !== null), SOON)).toBe(true);
      expect(await until(() => stand.good.visits.every(({ ended }) => ended !== null), SOON)).toBe(true);
      expect(performance.now() - started).toBeLessThan(SOON);
      // The origin saw an upload that was broken off, not one that ended.
      expect(stand.good.visits.flatMap(({ requests }) => requests)).toEqual([]);
      const again = open();
      again.say(CONNECT);
      await again.until((heard) => heard.includes('\r\n\r\n'), 1_500);
      expect(again.heard).toStartWith('HTTP/1.1 403');
    });

  test('a rule for another host is added: nothing is lost or said twice (RL-010)', async () => {
    // On a port of its own anything may be said.
    const port = '{host: allowed.test, ports: [8443]}';
    const policy = (more: string[]) =>
      policyText({ allow: more }).replace('allow:\n', `allow:\n  - ${port}\n`);
    subject.load(policy([]));
    const client = await said(open(), CONNECT.replaceAll('443', '8443'), '\r\n\r\n');
    const sent = Array.from({ length: 200 }, (_, i) => `\0piece ${i} ${'x'.repeat(997)};`);
    for (const [i, piece] of sent.entries()) {
      client.say(piece);
      if (i % 20 === 0) subject.load(policy([`h${i}.test`]));
      await Bun.sleep(0);
    }
    const visit = stand.good.visits[0]!;
    const whole = sent.join('');
    expect(await until(() => visit.octets.length >= whole.length)).toBe(true);
    expect(visit.octets).toBe(whole);
    expect(client.end).toBeNull();
  });

  test('two policies take turns: each decision is by one of them (RL-011, RL-012)', async () => {
    const [a, b] = [
      policyText({ allow: ['a.allowed.test'], deny: ['x.allowed.test'] }),
      policyText({ allow: ['x.allowed.test'], deny: ['a.allowed.test'] }),
    ];
    const both = 'GET http://a.allowed.test/ HTTP/1.1\r\nHost: x.allowed.test\r\n\r\n';
    const asking = Array.from({ length: 100 }, async (_, i) => {
      const client = open();
      client.say(i % 2 === 0 ? both : both.replace('Host: x', 'Host: a'));
      await client.until((heard) => heard.length > 0, 1_500);
      return client.heard;
    });
    for (let turn = 0; turn < 1_000; turn++) {
      subject.load(turn % 2 === 0 ? a : b);
      if (turn % 50 === 0) await Bun.sleep(0);
    }
    for (const [i, heard] of (await Promise.all(asking)).entries())
      if (i % 2 === 0) expect(heard).toStartWith('HTTP/1.1 400');
    for (const { requests } of stand.good.visits)
      for (const { line, headers } of requests)
        expect([line, headers.find(([name]) => name === 'Host')?.[1]]).toEqual([
          'GET / HTTP/1.1',
          'a.allowed.test',
        ]);
  });

  test('the kill switch finds clients in every state of saying what they want (RL-022)', async () => {
    subject.load(ALLOWED);
    stand.answer({ 'allowed.test': { A: [] } }); // no address: nothing gets through before
    const parts: [string | Buffer, number][] = [
      ['', subject.proxyPort],
      ['CONNECT allowed.test:443 HT', subject.proxyPort],
      ['\x05', subject.proxyPort],
      ['\x05\x01\0', subject.proxyPort],
      ['GET http://allowed.test/ HTTP/1.1\r\n', subject.proxyPort],
      ['', transparentPort()],
      [HELLO.subarray(0, 20), transparentPort()],
    ];
    const parked = parts.map(([octets, port]) => {
      const client = open(port);
      if (octets.length > 0) client.say(octets);
      return client;
    });
    await Bun.sleep(20);
    subject.kill(true);
    stand.answer({});
    for (const [i, client] of parked.entries())
      client.say(
        [
          '',
          'TP/1.1\r\nHost: allowed.test:443\r\n\r\n',
          '\x01\0',
          SOCKS,
          'Host: allowed.test\r\n\r\n',
          HELLO,
          HELLO.subarray(20),
        ][i]!,
      );
    expect(
      await until(
        () => parked.every(({ end, heard }) => end !== null || heard.startsWith('HTTP/1.1 403')),
        3_000,
      ),
    ).toBe(true);
    expect(stand.good.visits).toEqual([]);
    expect(parked.map(({ heard }) => heard).join('')).not.toContain('HTTP/1.1 200');
  });

  test('a decision that fails refuses, and others are served (RS-030)', async () => {
    subject.load(ALLOWED);
    subject.breakDecisions(true);
    for (const octets of [CONNECT, 'GET http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n']) {
      const client = open();
      client.say(octets);
      await client.until(() => false, 500);
      expect(client.heard).not.toContain('200');
      expect(client.end).not.toBeNull();
    }
    expect(stand.good.visits).toEqual([]);
    subject.breakDecisions(false);
    await tunnel();
  });

  test('a refusal takes as long and asks as little whether the name exists or not (EX-035)', async () => {
    subject.load(ALLOWED);
    stand.answer({ 'exists.denied.test': { A: [GOOD_ADDRESS] } });
    stand.names.otherwise = null;
    const took: Record<string, number[]> = { exists: [], missing: [] };
    for (let i = 0; i < 100; i++)
      for (const kind of ['exists', 'missing']) {
        const started = performance.now();
        const client = open();
        const name = `${kind}.denied.test`;
        client.say(`CONNECT ${name}:443 HTTP/1.1\r\nHost: ${name}:443\r\n\r\n`);
        await client.until((heard) => heard.length > 0, 1_500);
        took[kind]!.push(performance.now() - started);
        client.leave();
      }
    expect(stand.names.questions).toEqual([]);
  });

  test('tunnels in which nothing is said end by themselves (RS-011, RS-012)', async () => {
    subject.load(ALLOWED, { idle: '1s' });
    const idle = await Promise.all([tunnel(), socksTunnel(), transparent()]);
    expect(await until(() => idle.every(({ end }) => end !== null), 3_000)).toBe(true);
    expect(await until(() => subject.openConnections() === 0)).toBe(true);
  });

  test('clients that leave before the origin answers leave nothing behind (RS-013)', async () => {
    subject.load(
      policyText({ allow: [] }).replace('allow:\n', 'allow:\n  - {host: allowed.test, ports: [9]}\n'),
    );
    for (let i = 0; i < 100; i++) {
      const client = open();
      client.say('CONNECT allowed.test:9 HTTP/1.1\r\nHost: allowed.test:9\r\n\r\n');
      await Bun.sleep(1);
      client.leave();
    }
    expect(await until(() => subject.openConnections() === 0, 5_000)).toBe(true);
  });

  test('an origin whose head never ends is given up (RS-017)', async () => {
    subject.load(ALLOWED);
    stand.good.answer = `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(100_000)}`;
    const client = open();
    client.say('GET http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n');
    await client.until((heard) => heard.includes('\r\n\r\n'), 1_500);
    stand.good.answer = ANSWER;
    expect(client.heard).toStartWith('HTTP/1.1 502');
    expect(client.heard.length).toBeLessThan(65_536);
  });
});
