/** HTTP through a fence: the origin sees no request that was not judged, however the octets come. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { blockedOf, type Conversation, converse, type Step } from './rig/converse.ts';
import { ADMITTED, GOOD, REFUSED } from './rig/requests.ts';
import { openWitness, type Witness } from './rig/witness.ts';
import { inRig, openWorld, type World } from './rig/world.ts';

const ORIGIN = '203.0.113.24';
const EXPLICIT = 8080;
const POLICY = `version: 1\nallow: [http.test, {host: http.test, ports: [${EXPLICIT}]}]\n`;
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nheard';
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

const conversation = (steps: Step[], port = 80): Conversation => ({ host: 'http.test', port, steps });
const EVIL = 'GET /evil HTTP/1.1\r\nHost: evil.test\r\n\r\n';
const WEBSOCKET = (path: string) =>
  `GET ${path} HTTP/1.1\r\nHost: http.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;

describe.skipIf(!inRig)('a request', () => {
  let world: World;
  let origin: Witness;
  let explicit: Witness;
  beforeAll(async () => {
    world = await openWorld();
    origin = openWitness(ORIGIN, 80, () => ANSWER);
    explicit = openWitness(ORIGIN, EXPLICIT, ({ received }) => {
      if (received.includes('/switch')) return SWITCHING;
      // A page whose body is an answer of its own, sent when the next request comes.
      if (received.includes('/fake'))
        return received.includes('websocket') ? SWITCHING : 'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n';
      return received.includes('\n') ? ANSWER : undefined;
    });
    world.nameServer.names.set('http.test', [ORIGIN]);
  });
  beforeEach(() => {
    origin.forget();
    explicit.forget();
  });
  afterAll(() => {
    origin.close();
    explicit.close();
    world.close();
  });

  test('that is clear and names the host asked for arrives octet for octet', async () => {
    const whole = ADMITTED.map(([, octets]) => conversation([{ send: octets }, { shut: true }]));
    const heard = await converse(world, POLICY, whole, { parallel: 1 });
    for (const [i, { text }] of heard.entries())
      expect([ADMITTED[i]![0], text]).toEqual([ADMITTED[i]![0], expect.stringContaining('heard')]);
    for (const [i, visit] of origin.visits.entries())
      expect([ADMITTED[i]![0], visit.received.toString('latin1')]).toEqual([...ADMITTED[i]!]);
  });

  for (const [how, steps] of [
    ['in one piece', (octets: string): Step[] => [{ send: octets }]],
    [
      'an octet at a time',
      (octets: string): Step[] => (octets.length < 1_000 ? [{ drip: octets }] : [{ send: octets }]),
    ],
    ['and its end', (octets: string): Step[] => [{ send: octets }, { shut: true }]],
  ] as const)
    test(`of any other kind is refused, ${how}, and nothing of it arrives`, async () => {
      const agent = how.replaceAll(' ', '-');
      const flags = ['--agent', agent];
      const asking = REFUSED.map(([, octets]) => conversation(steps(octets)));
      const heard = await converse(
        world,
        POLICY,
        [...asking, { ...conversation([{ send: GOOD }]), enough: 'heard' }],
        { flags },
      );
      expect(heard.pop()?.text).toEndWith('heard');
      const titles = (wrong: (text: string, end: string, octets: string) => boolean) =>
        heard.flatMap(({ text, end }, i) => (wrong(text, end, REFUSED[i]![1]) ? [REFUSED[i]![0]] : []));
      // Without a line end it may still become a request, until its time is up.
      expect(titles((_, end, octets) => end === 'open' && octets.includes('\n'))).toEqual([]);
      expect(
        titles((text) => text.replaceAll(ANSWER, '') !== '' && !/HTTP\/1.1 (403|400) /.test(text)),
      ).toEqual([]);
      expect(origin.heard()).not.toContain('evil');
      const reasons = new Set((await blockedOf(world, agent)).map(({ reason }) => reason));
      for (const reason of ['host-mismatch', 'http-malformed', 'http-upgrade', 'not-http'])
        expect(reasons).toContain(reason as never);
    });

  test('is judged the same wherever it is cut in two', async () => {
    const octets = `${GOOD}POST /good HTTP/1.1\r\nHost: http.test\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n${EVIL}`;
    const cuts = Array.from({ length: octets.length - 1 }, (_, i) =>
      conversation([{ send: octets.slice(0, i + 1) }, { wait: 2 }, { send: octets.slice(i + 1) }]),
    );
    const heard = await converse(world, POLICY, cuts, { parallel: 64 });
    expect(
      heard.filter(({ text, end }) => end !== 'closed' || !text.includes('X-Clawctl-Reason: host-mismatch')),
    ).toEqual([]);
    expect(origin.heard()).not.toContain('evil');
    for (const { received } of origin.visits) expect(octets).toStartWith(received.toString('latin1'));
  });

  test('on a port of its own is held to the same', async () => {
    const notHttp = /^(HTTP\/0.9|HTTP\/2 with|TLS|SSH|PROXY|a WebSocket|another port|bare CR)/;
    const asking = REFUSED.filter(([title]) => !notHttp.test(title));
    const onPort = (octets: string) =>
      octets.replaceAll('Host: http.test\r\n', `Host: http.test:${EXPLICIT}\r\n`);
    for (const split of [0, 1]) {
      const conversations = asking.map(([, octets]) => {
        const line = octets.indexOf('\n', 3) + split;
        return conversation(
          [{ send: onPort(octets.slice(0, line)) }, { wait: 20 }, { send: onPort(octets.slice(line)) }],
          EXPLICIT,
        );
      });
      const heard = await converse(world, POLICY, conversations);
      const open = heard.flatMap(({ end }, i) => (end === 'open' ? [asking[i]![0]] : []));
      expect(open).toEqual([]);
      expect(explicit.heard()).not.toMatch(/evil\.test/i);
    }
  });

  test('that only a lenient server would understand is refused on a port of its own too', async () => {
    const odd = ['\r\n\r\n', ' ', '\t', '\x0b', '\x85', '\xa0'].map((prefix) => prefix + EVIL);
    odd.push(
      EVIL.replaceAll('\r\n', '\n'),
      EVIL.replaceAll('\r\n', '\r'),
      EVIL.replaceAll(' ', '\x0b'),
      EVIL.replaceAll(' ', '\x1f'),
      EVIL.replace('HTTP/1.1', 'http/1.1'),
      EVIL.replace('HTTP/1.1', 'HTTP/+1.1'),
      EVIL.replace('HTTP/1.1', 'HTTP/1.1 \x0c'),
      EVIL.replace('/evil', '/\0'),
    );
    const steps = odd.flatMap((octets): Step[][] => [[{ send: octets }], [{ drip: octets }]]);
    steps.push([{ send: 'GET http://evil.test/ HTTP/1.1' }, { shut: true }]);
    const heard = await converse(
      world,
      POLICY,
      steps.map((each) => conversation(each, EXPLICIT)),
    );
    expect(heard.filter(({ text }) => text.includes('heard'))).toEqual([]);
    expect(explicit.heard()).not.toContain('Host');
    expect(explicit.visits.map(({ ended }) => ended)).not.toContain('closed');
  });

  test('for a WebSocket opens the way only once the origin has switched', async () => {
    const heard = await converse(
      world,
      POLICY,
      [
        conversation(
          [{ send: WEBSOCKET('/switch') }, { hear: '\r\n\r\n' }, { send: 'anything' }, { shut: true }],
          EXPLICIT,
        ),
        conversation([{ send: `${WEBSOCKET('/stay')}${EVIL}` }], EXPLICIT),
        conversation([{ send: WEBSOCKET('/stay') }, { hear: 'heard' }, { send: EVIL }], EXPLICIT),
        conversation([{ send: WEBSOCKET('/stay').replace('websocket', 'h2c') + EVIL }], EXPLICIT),
        conversation([{ send: 'CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n' }], EXPLICIT),
      ].map((each) => ({ ...each, patience: 1 })),
    );
    expect(heard[0]!.text).toStartWith(SWITCHING);
    expect(explicit.heard()).toContain('anything');
    expect(explicit.heard()).not.toContain('evil');
  });

  test('for a WebSocket after another is refused, so that no page can pass for the answer to it', async () => {
    const fake = conversation(
      [
        { send: 'GET /fake HTTP/1.1\r\nHost: http.test\r\n\r\n' },
        { hear: '\r\n\r\n' },
        { send: WEBSOCKET('/') },
        { wait: 200 },
        { send: EVIL },
      ],
      EXPLICIT,
    );
    const [heard] = await converse(world, POLICY, [fake]);
    expect(heard).toMatchObject({
      end: 'closed',
      text: expect.stringContaining('X-Clawctl-Reason: http-upgrade'),
    });
    expect(explicit.heard()).not.toContain('evil');
  });

  test('behind one that is refused after all is not counted as let through', async () => {
    world.nameServer.names.set('http.test', ['10.1.1.1']);
    await converse(world, POLICY, [conversation([{ send: GOOD.repeat(10) }])], {
      flags: ['--agent', 'eager'],
    });
    world.nameServer.names.set('http.test', [ORIGIN]);
    const stats = await world.clawctl(['stats', '--last', '24h', '--agent', 'eager', '--json']);
    expect(JSON.parse(stats.stdout)).toMatchObject({ requests: 1, allowed: 0, blocked: 1 });
  });

  test('that was refused tells why in text and in JSON, and nothing else', async () => {
    const asking = (accept: string, method = 'GET') =>
      conversation([{ send: `${method} / HTTP/1.1\r\nHost: evil.test\r\nAccept: ${accept}\r\n\r\n` }]);
    const [plain, json, head] = await converse(world, POLICY, [
      asking('*/*'),
      asking('application/json'),
      asking('*/*', 'HEAD'),
    ]);
    expect(plain!.text).toStartWith('HTTP/1.1 403 Forbidden (Clawctl Egress, host-mismatch: ');
    expect(plain!.text).toContain('X-Clawctl-Reason: host-mismatch\r\n');
    expect(plain!.text).toContain('clawctl egress explain http.test:80');
    expect(JSON.parse(json!.text.split('\r\n\r\n')[1]!)).toMatchObject({
      schema: 'clawctl.egress.refusal/v1',
      host: 'http.test',
      port: 80,
      reason: 'host-mismatch',
    });
    expect(head!.text).toEndWith('\r\n\r\n');
    for (const { text } of [plain!, json!, head!])
      expect(text).not.toMatch(new RegExp(`${ORIGIN}|${EXPLICIT}|203\\.`));
  });
});
