/** TLS through a fence: the server that the ClientHello names is the one that was asked for, or nothing arrives. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import {
  extension,
  hello,
  helloBody,
  message,
  nameEntry,
  record,
  records,
  serverName,
} from '../src/wire/clienthello.fixture.ts';
import { blockedOf, type Conversation, converse, type Step } from './rig/converse.ts';
import { openWitness, type Witness } from './rig/witness.ts';
import { inRig, openWorld, type World } from './rig/world.ts';

const ORIGIN = '203.0.113.21';
const RETRYING = '203.0.113.22';
const WARNING = '203.0.113.23';
const EXPLICIT = 8443;
const POLICY = `
version: 1
allow:
  - tls.test
  - retry.test
  - warning.test
  - "*.wide.test"
  - {host: ech.test, tls: ech}
  - {host: any.test, tls: any}
  - {host: explicit.test, ports: [${EXPLICIT}]}
`;
const NAMES = ['tls.test', 'a.wide.test', 'ech.test', 'any.test', 'explicit.test'];

const named = (name: string, ...more: number[][]) => hello(serverName(nameEntry(name)), ...more);
const ECH = extension(0xfe0d, [0, 0, 1, 0, 1, 7, 0, 4, 1, 2, 3, 4, 0, 4, 5, 6, 7, 8]);
const PADDING = (length: number) => extension(21, Array(length).fill(0));
const GOOD = named('tls.test');
const EVIL = named('evil.test');

const RETRY_RANDOM = [...createHash('sha256').update('HelloRetryRequest').digest()];
const RETRY = records(message(2, [3, 3, ...RETRY_RANDOM, 0, 0x13, 0x01, 0]));
const ALERT = record([2, 49], 21, 0x0303);
const latin1 = (octets: Iterable<number>) => Buffer.from([...octets]).toString('latin1');

const say = (octets: Iterable<number>, host = 'tls.test', port = 443): Conversation => ({
  host,
  port,
  steps: [{ send: latin1(octets) }],
  enough: 'heard',
});

const REFUSED: ReadonlyArray<readonly [title: string, octets: Iterable<number>, host?: string]> = [
  ['no server name', records(hello())],
  ['no extensions', records(message(1, helloBody(null)))],
  ['another name', records(EVIL)],
  ['a name below', records(named('a.tls.test'))],
  ['a name above', records(named('test'))],
  ['a sibling under the same wildcard', records(named('b.wide.test')), 'a.wide.test'],
  ['two names', records(hello(serverName(nameEntry('tls.test'), nameEntry('evil.test'))))],
  ['two extensions', records(hello(serverName(nameEntry('tls.test')), serverName(nameEntry('evil.test'))))],
  [
    'a name of an unknown type first',
    records(hello(serverName(nameEntry('tls.test', 1), nameEntry('evil.test')))),
  ],
  ['an empty name', records(named(''))],
  ['an empty list', records(hello(serverName()))],
  ['a NUL in the name', records(named('tls.test\0.evil.test'))],
  ['a line end in the name', records(named('tls.test\r\nX: y'))],
  ['a space in the name', records(named('tls.test '))],
  ['an asterisk', records(named('*.wide.test')), 'a.wide.test'],
  ['Unicode', records(named(Buffer.from('tls。test').toString('latin1')))],
  ['an address', records(named(ORIGIN))],
  ['markup', records(named('"><svg onload=alert(1)>'))],
  ['an encrypted hello', records(named('tls.test', ECH))],
  ['an encrypted server name', records(named('tls.test', extension(0xffce, Array(100).fill(1))))],
  ['an encrypted hello with another outer name', records(named('evil.test', ECH)), 'ech.test'],
  ['an encrypted hello without a name', records(hello(ECH)), 'ech.test'],
  ['an encrypted hello where only no name is admitted', records(hello(ECH)), 'any.test'],
  ['another name where no name is admitted', records(EVIL), 'any.test'],
  ['the name late in a large hello', records(hello(PADDING(1_500), serverName(nameEntry('evil.test'))))],
  ['the name after many records', records(hello(PADDING(60_000), serverName(nameEntry('evil.test'))))],
  ['a hello that is too large', records(named('tls.test', PADDING(66_000)))],
  ['a hello longer than any limit', record([1, 0xff, 0xff, 0xff, ...Array(16_000).fill(0)])],
  ['a length that is too short', records(message(1, helloBody([serverName(nameEntry('tls.test'))]), 20))],
  ['a second hello in the same record', record([...GOOD, ...EVIL])],
  ['a ServerHello', records(message(2, helloBody([serverName(nameEntry('tls.test'))])))],
  ['an alert first', [...record([1, 0], 21), ...records(GOOD)]],
  ['a change of cipher first', [...record([1], 20), ...records(GOOD)]],
  ['an empty record first', [...record([]), ...records(GOOD)]],
  ['application data first', [...record([1, 2], 23), ...records(GOOD)]],
  ['a record version of SSL 2', record(GOOD, 22, 0x0200)],
  ['an SSLv2 hello', [0x80, 0x2e, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10, ...Array(40).fill(1)]],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: tls.test\r\n\r\n')],
  ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.7\r\n')],
  ['noise', [0, 1, 2, 3, 0xff, 22, 3, 1]],
];

describe.skipIf(!inRig)('a ClientHello', () => {
  let world: World;
  let origin: Witness;
  let explicit: Witness;
  let retrying: Witness;
  let warning: Witness;
  beforeAll(async () => {
    world = await openWorld();
    origin = openWitness(ORIGIN, 443, () => 'heard');
    explicit = openWitness(ORIGIN, EXPLICIT, () => 'heard');
    // Asks again after whatever comes first, then says what it heard.
    let asked = 0;
    const ask = (prefix: Uint8Array | number[]) => (visit: { received: Buffer }) => {
      asked += 1;
      return visit.received.length <= records(named('warning.test')).length
        ? Buffer.concat([Uint8Array.from(prefix), RETRY])
        : 'heard';
    };
    retrying = openWitness(RETRYING, 443, ask([]));
    warning = openWitness(WARNING, 443, ask(record([1, 112], 21)));
    for (const name of NAMES) world.nameServer.names.set(name, [ORIGIN]);
    world.nameServer.names.set('retry.test', [RETRYING]);
    world.nameServer.names.set('warning.test', [WARNING]);
    expect(asked).toBe(0);
  });
  beforeEach(() => {
    for (const witness of [origin, explicit, retrying, warning]) witness.forget();
  });
  afterAll(() => {
    for (const witness of [origin, explicit, retrying, warning]) witness.close();
    world.close();
  });

  test('that names the server asked for arrives octet for octet, in other letter cases too', async () => {
    const good = [
      GOOD,
      named('TLS.Test'),
      named('tls.test', PADDING(1_500)),
      named('tls.test', PADDING(60_000)),
    ];
    const heard = await converse(world, POLICY, [
      ...good.map((octets) => say(records(octets))),
      say(records(named('a.wide.test')), 'a.wide.test'),
      say(records(named('ech.test', ECH)), 'ech.test'),
      say(records(hello()), 'any.test'),
      say(records(named('explicit.test')), 'explicit.test', EXPLICIT),
    ]);
    expect(heard.filter(({ text }) => !text.startsWith('heard'))).toEqual([]);
    for (const octets of good) expect(origin.heard()).toContain(latin1(records(octets)));
  });

  test('of any other kind is refused, and not an octet of it arrives', async () => {
    const flags = ['--agent', 'hellos'];
    const asking = REFUSED.map(([, octets, host]) => say(octets, host));
    const heard = await converse(world, POLICY, [...asking, say(records(GOOD))], { flags });
    expect(heard.pop()).toMatchObject({ text: 'heard' });
    for (const [i, { text, end }] of heard.entries())
      expect([REFUSED[i]![0], text === '' || text === latin1(ALERT), end]).toEqual([
        REFUSED[i]![0],
        true,
        text === '' ? 'reset' : 'closed',
      ]);
    expect(origin.heard()).toBe(latin1(records(GOOD)));
    const reasons = new Set((await blockedOf(world, 'hellos')).map(({ reason }) => reason));
    expect([...reasons].sort()).toEqual(['ech', 'not-tls', 'sni-mismatch', 'sni-missing', 'tls-malformed']);
  });

  test('on a port of its own is held to the same, and so is one that is cut before its end', async () => {
    const tls = REFUSED.filter(([title, , host]) => host === undefined && !/^(HTTP|SSH|noise)/.test(title))
      .map(([title, octets]) => [title, latin1(octets).replaceAll('tls.test', 'expl.tst')] as const)
      .filter(([, octets]) => octets.startsWith('\x16'));
    expect(tls.length).toBeGreaterThan(20);
    const asking = tls.map(([, octets]) => say(Buffer.from(octets, 'latin1'), 'explicit.test', EXPLICIT));
    const cut: Conversation = {
      ...say(records(named('explicit.test')).subarray(0, 60), 'explicit.test', EXPLICIT),
      steps: [{ send: latin1(records(named('explicit.test')).subarray(0, 60)) }, { shut: true }],
    };
    const heard = await converse(world, POLICY, [...asking, cut]);
    expect(heard.filter(({ text, end }) => end === 'open' || text.includes('heard'))).toEqual([]);
    expect(explicit.heard()).toBe('');
  });

  test('cut into two records or two segments at every octet is judged the same', async () => {
    const places = (octets: number[]) => Array.from({ length: octets.length - 1 }, (_, i) => i + 1);
    const inSegments = (octets: string, at: number): Step[] => [
      { send: octets.slice(0, at) },
      { wait: 2 },
      { send: octets.slice(at) },
    ];
    const cutBoth = (octets: number[]): Conversation[] => [
      ...places(octets).map((at) => say(records(octets, at))),
      ...places([...records(octets)]).map((at) => ({
        ...say([]),
        steps: inSegments(latin1(records(octets)), at),
      })),
      { ...say([]), steps: [{ drip: latin1(records(octets)) }] },
    ];
    const refused = await converse(world, POLICY, cutBoth(EVIL), { parallel: 64 });
    expect(refused.filter(({ text }) => text !== latin1(ALERT))).toEqual([]);
    expect(origin.heard()).toBe('');
    const admitted = await converse(world, POLICY, cutBoth(GOOD), { parallel: 64 });
    expect(admitted.filter(({ text }) => !text.startsWith('heard'))).toEqual([]);
  });

  test('in a record for each octet is refused whatever it names', async () => {
    const each = (octets: number[]) => records(octets, ...octets.keys());
    const heard = await converse(world, POLICY, [say(each(EVIL)), say(each(GOOD))]);
    expect(heard.map(({ text }) => text)).toEqual(
      [latin1(ALERT), latin1(ALERT)].map(() => expect.not.stringContaining('heard')),
    );
    expect(origin.heard()).toBe('');
  });

  for (const host of ['retry.test', 'warning.test'])
    test(`that answers a HelloRetryRequest is judged like the first (${host})`, async () => {
      const witness = host === 'retry.test' ? retrying : warning;
      const first = latin1(records(named(host)));
      const evil = latin1(records(EVIL));
      const again = (...steps: Step[]): Conversation => ({
        host,
        port: 443,
        steps,
        enough: 'heard',
        patience: 2,
      });
      const retry = RETRY_RANDOM.map((octet) => String.fromCharCode(octet)).join('');
      const heard = await converse(world, POLICY, [
        again({ send: first }, { hear: retry }, { send: evil }),
        again({ send: first }, { hear: retry }, { drip: evil }),
        again({ send: first + evil }),
        again({ send: first + latin1(record([1], 20)) + evil }),
        again({ send: first + latin1(record([1, 2, 3], 23)) + evil }),
        again({ send: first }, { hear: retry }, { send: latin1(record([1], 20)) + evil }),
        again({ send: first }, { hear: retry }, { send: latin1(records(EVIL, 9, 60)) }),
        again({ send: first }, { hear: retry }, { send: 'GET / HTTP/1.1\r\n\r\n' }),
        again({ send: first }, { hear: retry }, { send: first }),
      ]);
      expect(heard.pop()?.text).toEndWith('heard');
      expect(heard.filter(({ text, end }) => text.includes('heard') || end === 'open')).toEqual([]);
      expect(witness.heard()).not.toContain('evil.test');
      expect(witness.heard().replaceAll(first, '')).not.toContain('GET');
      expect(witness.visits).toHaveLength(9);
    });

  test('on port 80 is refused, and so is nothing at all after a while', async () => {
    const heard = await converse(world, POLICY, [say(records(GOOD), 'tls.test', 80)]);
    expect(heard).toEqual([{ text: '', end: 'reset' }]);
  });
});
