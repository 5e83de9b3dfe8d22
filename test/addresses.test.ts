/** What an allowed name leads to: an address that is not public is never dialled unless the rule admits it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { blockedOf, type Conversation, converse } from './rig/converse.ts';
import { openWitness, type Witness } from './rig/witness.ts';
import { inRig, openWorld, type World } from './rig/world.ts';

const PORT = 8443;
const PUBLIC = '203.0.113.20';

/** Everything that is dialled here and is not the witness ends in the sink. */
const REFUSED: ReadonlyArray<readonly [name: string, address: string, admitted: string]> = [
  ['loopback', '127.0.0.9', '127.0.0.0/8'],
  ['loopback6', '::1', '::1/128'],
  ['unspecified', '0.0.0.0', '0.0.0.0/8'],
  ['private-a', '10.1.2.3', '10.0.0.0/8'],
  ['private-b', '172.16.0.1', '172.16.0.0/12'],
  ['private-c', '192.168.1.1', '192.168.0.0/16'],
  ['metadata', '169.254.169.254', '169.254.169.254/32'],
  ['azure', '168.63.129.16', '168.63.129.16/32'],
  ['alibaba', '100.100.100.200', '100.100.100.200/32'],
  ['metadata6', 'fd00:ec2::254', 'fd00:ec2::254/128'],
  ['carrier', '100.64.0.1', '100.64.0.0/10'],
  ['link-local', '169.254.1.1', '169.254.0.0/16'],
  ['unique-local', 'fd12::1', 'fc00::/7'],
  ['benchmark', '198.18.0.5', '198.18.0.0/15'],
  ['future', '240.0.0.1', '240.0.0.0/4'],
  ['translated', '64:ff9b::a01:203', '64:ff9b::/96'],
  ['translated-local', '64:ff9b:1::a01:203', '64:ff9b:1::/48'],
  ['six-to-four', '2002:a01:203::1', '2002::/16'],
  ['six-to-four-public', '2002:cb00:7142::1', '2002::/16'],
  ['teredo', '2001:0:a01:203::1', '2001::/32'],
];
/** Nothing listens there even without a fence, so these have no control. */
const REFUSED_TOO: ReadonlyArray<readonly [name: string, address: string]> = [
  ['mapped', '::ffff:10.1.2.3'],
  ['mapped-public', '::ffff:203.0.113.20'],
  ['link-local6', 'fe80::1'],
  ['compatible', '::10.1.2.3'],
  ['multicast', '224.0.0.1'],
  ['broadcast', '255.255.255.255'],
];

const secret = (host: string): Conversation => ({
  host: `${host}.test`,
  port: PORT,
  steps: [{ send: '\0secret\n' }],
  enough: 'heard',
});

const rule = (name: string, addresses?: string) =>
  `  - host: ${name}.test\n    ports: [${PORT}]\n${addresses === undefined ? '' : `    addresses: ["${addresses}"]\n`}`;

describe.skipIf(!inRig)('an allowed name', () => {
  let world: World;
  let witnesses: Witness[];
  let asked = 0;
  beforeAll(async () => {
    world = await openWorld();
    witnesses = [PUBLIC, '127.0.0.1', '127.0.0.9', '::1'].map((address) =>
      openWitness(address, PORT, () => 'heard'),
    );
    for (const [name, address] of [...REFUSED, ...REFUSED_TOO])
      world.nameServer.names.set(`${name}.test`, [address]);
    world.nameServer.names.set('good.test', [PUBLIC]);
    world.nameServer.names.set('mixed.test', [PUBLIC, '10.1.2.3']);
    world.nameServer.names.set('mixed-families.test', [PUBLIC, 'fd12::1']);
    world.nameServer.names.set('rebinding.test', () => (asked++ < 2 ? [PUBLIC] : ['10.1.2.3']));
  });
  beforeEach(() => {
    world.sink.arrivals.length = 0;
    for (const witness of witnesses) witness.forget();
  });
  afterAll(() => {
    for (const witness of witnesses) witness.close();
    world.close();
  });
  const visits = () => witnesses.reduce((sum, { visits }) => sum + visits.length, 0);

  test('is refused where it leads to an address that is not public, and nothing is dialled', async () => {
    const names = [...REFUSED, ...REFUSED_TOO].map(([name]) => name);
    const policy = `version: 1\nallow:\n${names.map((name) => rule(name)).join('')}${rule('good')}`;
    const flags = ['--agent', 'plain'];
    const heard = await converse(world, policy, [...names.map(secret), secret('good')], { flags });
    expect(heard.pop()).toMatchObject({ text: 'heard' });
    expect(heard.filter(({ text, end }) => text !== '' || end !== 'reset')).toEqual([]);
    expect(visits()).toBe(1);
    expect(world.sink.arrivals).toEqual([]);
    const reasons = new Map((await blockedOf(world, 'plain')).map(({ host, reason }) => [host, reason]));
    for (const name of names) expect([name, reasons.get(`${name}.test`)]).toEqual([name, 'address-refused']);
  });

  test('control: `addresses` on the rule admits each of them', async () => {
    const policy = `version: 1\nallow:\n${REFUSED.map(([name, , admitted]) => rule(name, admitted)).join('')}`;
    const heard = await converse(
      world,
      policy,
      REFUSED.map(([name]) => ({ ...secret(name), patience: 1 })),
    );
    expect(heard).toHaveLength(REFUSED.length);
    const arrived = world.sink.arrivals.filter((line) => line === 'tcp').length;
    expect(arrived + visits()).toBe(REFUSED.length);
  });

  test('admitted by one rule for one range is not admitted to another', async () => {
    const policy = `version: 1\nallow:\n${rule('private-a', '10.1.2.4/32')}${rule('private-b', '10.0.0.0/8')}`;
    await converse(world, policy, [secret('private-a'), secret('private-b')]);
    expect(world.sink.arrivals).toEqual([]);
  });

  test('is refused where public and private addresses are mixed, also over both families', async () => {
    const policy = `version: 1\nallow:\n${rule('mixed')}${rule('mixed-families')}`;
    const flags = ['--agent', 'mixing'];
    const heard = await converse(world, policy, [secret('mixed'), secret('mixed-families')], { flags });
    expect(heard.map(({ end }) => end)).toEqual(['reset', 'reset']);
    expect(visits()).toBe(0);
    expect(world.sink.arrivals).toEqual([]);
    expect((await blockedOf(world, 'mixing')).map(({ reason }) => reason)).toEqual([
      'addresses-mixed',
      'addresses-mixed',
    ]);
  });

  test('is asked for once a connection, so an answer that changes is judged and never dialled unseen', async () => {
    asked = 0;
    world.nameServer.questions.length = 0;
    const policy = `version: 1\nallow:\n${rule('rebinding')}`;
    const twice = [secret('rebinding'), secret('rebinding')];
    const heard = await converse(world, policy, twice, { parallel: 1 });
    expect(heard.map(({ text }) => text)).toEqual(['heard', '']);
    // A and AAAA for each connection; a third pair would be a look between the check and the dial.
    expect(world.nameServer.questions).toEqual(Array(4).fill('rebinding.test'));
    expect(visits()).toBe(1);
    expect(world.sink.arrivals).toEqual([]);
  });

  test('is refused where it leads into a denied range, however the address is spelled', async () => {
    const denied = (deny: string) => `version: 1\nallow:\n${rule('good')}deny: [${deny}]\n`;
    const flags = ['--agent', 'denied'];
    for (const deny of ['203.0.113.0/27', PUBLIC, `{host: 203.0.113.0/24, ports: [${PORT}]}`])
      expect(await converse(world, denied(deny), [secret('good')], { flags })).toEqual([
        { text: '', end: 'reset' },
      ]);
    expect(visits()).toBe(0);
    expect((await blockedOf(world, 'denied'))[0]).toMatchObject({ reason: 'address-denied', count: 3 });
    for (const other of ['203.0.113.64/26', '{host: 203.0.113.0/24, ports: [22]}'])
      expect(await converse(world, denied(other), [secret('good')])).toMatchObject([{ text: 'heard' }]);
  });

  test('tells nothing of the address when it is refused', async () => {
    const names = [...REFUSED, ...REFUSED_TOO].map(([name]) => name);
    const policy = `version: 1\nallow: [good.test, ${names.map((name) => `${name}.test`).join(', ')}]\n`;
    const get = (host: string, accept: string): Conversation => ({
      host,
      port: 80,
      steps: [{ send: `GET / HTTP/1.1\r\nHost: ${host}\r\nAccept: ${accept}\r\n\r\n` }],
    });
    const asking = [...names.map((name) => `${name}.test`), 'clawctl.internal'].flatMap((host) => [
      get(host, '*/*'),
      get(host, 'application/json'),
    ]);
    const heard = await converse(world, policy, asking, { parallel: 1 });
    const said = heard.map(({ text }) => text).join('\n');
    expect(said.match(/403 Forbidden/g)).toHaveLength(2 * names.length);
    expect(said).not.toMatch(/good\.test|\d+\.\d+\.\d+\.\d+|fd12|fd00|2002:|ff9b|fe80|::1/);
    for (const word of ['metadata address', 'private address', 'loopback', ' shared', 'benchmark address'])
      expect(said.replaceAll(/\S+\.test/g, '')).not.toContain(word);
  });
});
