import { describe, expect, test } from 'bun:test';
import { rangeText } from '../names/range.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { placeOf } from './listener.ts';
import { answerOf, documentOf, policyOf, problemsOf } from './policy.fixture.ts';
import { agentLimitsOf, fromOf, limitsOf, listenOf, rulesOf } from './policy.ts';

describe('a policy for a shared gateway', () => {
  test('is read whole', () => {
    const document = documentOf(`
listen:
  - 127.0.0.1:8880
  - "[::1]:8880"
  - unix:/run/clawctl/proxy.sock
  - { address: 10.0.0.1:8443, tls: { certificate: /etc/c.pem, key: /etc/k.pem }, proxy_protocol: [10.0.0.0/8], agent: ci }
  - { transparent: 10.0.0.1:15001, agent: vm }
  - { dns: 10.0.0.1:53 }
agents:
  support-bot:
    from: [10.2.0.0/16, "2001:db8::/32"]
    limits: { bytes_up: 50 MB/day, connections: 100, connections_per_second: 50 }
limits:
  connections: 5000
  connections_per_agent: 200
  connections_per_second: 1000
  connections_per_second_per_agent: 100
  header_bytes: 16384
  header_count: 64
  head_timeout: 5s
  handshake_timeout: 6s
  first_byte_timeout: 7s
  response_timeout: 20m
  idle: 8m
  lifetime: 9h
  bytes_up: 10 GiB/day
  bytes_up_per_agent: 1.5 GB/day
allow:
  - host: api.example.com
    limits: { bytes_up: 50 MiB/day }
    upgrade: [websocket, WebSocket, custom/1]
`);
    expect(document.listen).toMatchObject([
      { kind: 'proxy', where: { address: { text: '127.0.0.1' }, port: 8_880 }, tls: null, agent: null },
      { kind: 'proxy', where: { address: { text: '::1' }, port: 8_880 } },
      { kind: 'proxy', where: { path: '/run/clawctl/proxy.sock' } },
      { kind: 'proxy', tls: { certificate: '/etc/c.pem', key: '/etc/k.pem' }, agent: 'ci' },
      { kind: 'transparent', where: { port: 15_001 }, agent: 'vm' },
      { kind: 'dns', where: { port: 53 }, agent: null },
    ]);
    const [, , , balanced] = document.listen;
    expect(balanced?.kind === 'proxy' && balanced.proxyProtocol.map(rangeText)).toEqual(['10.0.0.0/8']);
    const bot = document.agents.get('support-bot')!;
    expect(bot.from.map(rangeText)).toEqual(['10.2.0.0/16', '2001:db8::/32']);
    expect(bot.limits).toEqual({ bytesUpPerDay: 50e6, connections: 100, connectionsPerSecond: 50 });
    expect(document.limits).toEqual({
      connections: 5_000,
      connectionsPerAgent: 200,
      connectionsPerSecond: 1_000,
      connectionsPerSecondPerAgent: 100,
      headerBytes: 16_384,
      headerCount: 64,
      headTimeout: 5_000,
      handshakeTimeout: 6_000,
      firstByteTimeout: 7_000,
      responseTimeout: 20 * 60_000,
      idle: 8 * 60_000,
      lifetime: 9 * 3_600_000,
      bytesUpPerDay: 10 * 2 ** 30,
      bytesUpPerDayPerAgent: 1.5e9,
    });
    expect(document.rules[0]).toMatchObject({
      bytesUpPerDay: 50 * 2 ** 20,
      upgrade: ['websocket', 'custom/1'],
    });
  });

  test('keeps what a rule says through the table', () => {
    const policy = policyOf(
      'allow: [{host: a.com, upgrade: [websocket], limits: {bytes_up: 1 MB/day}}, a.com, {host: b.com, limits: {bytes_up: 2 MB/day}}, {host: c.com, upgrade: [x]}]',
    );
    expect([...rulesOf(policy)].map(({ upgrade, bytesUpPerDay }) => [upgrade, bytesUpPerDay])).toEqual([
      [['websocket'], 1e6],
      [[], null],
      [[], 2e6],
      [['x'], null],
    ]);
  });

  test('that says nothing has the limits of old, and listens nowhere', () => {
    const policy = policyOf('version: 1');
    expect(limitsOf(policy)).toEqual(DEFAULT_LIMITS);
    expect(agentLimitsOf(policy, 'bot')).toEqual({
      connections: DEFAULT_LIMITS.connectionsPerAgent,
      connectionsPerSecond: DEFAULT_LIMITS.connectionsPerSecondPerAgent,
      bytesUpPerDay: Number.POSITIVE_INFINITY,
    });
    expect([listenOf(policy), fromOf(policy)]).toEqual([[], []]);
  });
});

describe('of several files', () => {
  test('the smallest limit holds, whichever file says it', () => {
    const machine =
      'limits: { connections_per_agent: 100, idle: 1m }\nagents: {ci: {limits: {connections: 300}}}';
    const own =
      'limits: { connections_per_agent: 500, idle: 30s, header_count: 4000 }\n' +
      'agents: {bot: {limits: {connections: 400, bytes_up: 1 kB/day}}, ci: {limits: {connections: 200}}}';
    const policy = policyOf(machine, own);
    expect(limitsOf(policy)).toMatchObject({ connectionsPerAgent: 100, idle: 30_000, headerCount: 4_000 });
    expect(agentLimitsOf(policy, 'bot')).toMatchObject({ connections: 100, bytesUpPerDay: 1_000 });
    expect(agentLimitsOf(policy, 'ci').connections).toBe(200);
    expect(agentLimitsOf(policy, 'anybody').connections).toBe(100);
  });

  test('an agent may have more than the others where one file says both', () => {
    const policy = policyOf(
      'limits: {connections_per_agent: 10}\nagents: {bot: {limits: {connections: 5000}}}',
    );
    expect(agentLimitsOf(policy, 'bot').connections).toBe(5_000);
    expect(agentLimitsOf(policy, 'other').connections).toBe(10);
  });

  test('one below a locked one may narrow limits, but not widen, listen or claim addresses', () => {
    const machine = 'locked: true\nlisten: [127.0.0.1:8880]\nagents: {ci: {from: [10.0.0.0/8]}}';
    const own =
      'limits: {idle: 7d, head_timeout: 1s}\nlisten: [0.0.0.0:9999]\n' +
      'agents: {bot: {from: [10.2.0.0/16], limits: {connections: 99999}}}';
    const policy = policyOf(machine, own);
    expect(limitsOf(policy)).toMatchObject({ idle: DEFAULT_LIMITS.idle, headTimeout: 1_000 });
    expect(agentLimitsOf(policy, 'bot').connections).toBe(DEFAULT_LIMITS.connectionsPerAgent);
    expect(listenOf(policy).map(placeOf)).toEqual(['127.0.0.1:8880']);
    expect(fromOf(policy).map(({ agent }) => agent)).toEqual(['ci']);
  });

  test('the first says who comes from an address, and within a file the narrowest range does', () => {
    const machine = 'agents: {ci: {from: [10.0.0.0/8]}, vm: {from: [10.1.0.0/16]}}';
    const own = 'agents: {bot: {from: [10.1.2.0/24, 10.0.0.0/8, 192.0.2.0/24]}}';
    expect(fromOf(policyOf(machine, own)).map(({ range, agent }) => [rangeText(range), agent])).toEqual([
      ['10.1.0.0/16', 'vm'],
      ['10.0.0.0/8', 'ci'],
      ['10.1.2.0/24', 'bot'],
      ['192.0.2.0/24', 'bot'],
    ]);
  });

  test('an agent that one of them lets inherit nothing inherits nothing', () => {
    const alone = 'agents: {bot: {inherit: false}}';
    for (const texts of [
      [alone, 'allow: [a.com]\nagents: {bot: {}}'],
      ['allow: [a.com]\nagents: {bot: {inherit: true}}', alone],
    ])
      expect(answerOf(policyOf(...texts), 'a.com', 443, 'bot')).toBe('agent');
  });

  test('the first says how a place is listened on', () => {
    const policy = policyOf(
      'listen: [{address: 127.0.0.1:8880, agent: ci}]',
      'listen: [127.0.0.1:8880, unix:/run/b.sock]',
    );
    expect(listenOf(policy).map((entry) => [placeOf(entry), entry.agent])).toEqual([
      ['127.0.0.1:8880', 'ci'],
      ['unix:/run/b.sock', null],
    ]);
  });
});

const tls = 'tls: {certificate: /c.pem, key: /k.pem}';
/** A file, what its first problem says, and how to mend it. */
const BROKEN: ReadonlyArray<[title: string, text: string, problem: string, fix: string]> = [
  ['a port alone', 'listen: [8880]', "'8880' is not an address with a port", 'Write 127.0.0.1:8880'],
  ['a port after a colon', 'listen: [":8880"]', 'is not an address', 'Write 127.0.0.1:8880'],
  ['a star', 'listen: ["*:8880"]', 'is not an address', '0.0.0.0:8880 for every address'],
  ['a name', 'listen: [localhost:3128]', 'is not an address', 'Write 127.0.0.1:3128'],
  ['a URL', 'listen: ["http://127.0.0.1:8880"]', 'is not an address', 'Write 127.0.0.1:8880'],
  ['an address without port', 'listen: [10.0.0.1]', 'is not an address with', 'Write "10.0.0.1:8880"'],
  ['a bare IPv6 address', 'listen: ["::1"]', 'is not an address with', 'Write "[::1]:8880"'],
  [
    'an ambiguous IPv6 address',
    'listen: ["::1:8880"]',
    'is not an address with',
    'Write "[::1]:8880", or "[::1:8880]:8880"',
  ],
  ['brackets around IPv4', 'listen: ["[10.0.0.1]:80"]', 'is not an address with', 'Write '],
  ['port 0', 'listen: [127.0.0.1:0]', 'has no port from 1 to 65535', 'Such as 127.0.0.1:8880'],
  ['a port too large', 'listen: [127.0.0.1:65536]', 'has no port', 'Such as 127.0.0.1:8880'],
  ['a port with a zero before it', 'listen: [127.0.0.1:080]', 'has no port', 'Such as'],
  ['an octal address', 'listen: [0177.0.0.1:80]', 'is not an address', 'Write'],
  ['a multicast address', 'listen: [224.0.0.1:80]', 'cannot be listened on', 'of this machine'],
  ['a relative socket', 'listen: [unix:proxy.sock]', 'is not a whole path', 'unix:/run/clawctl/proxy.sock'],
  ['a socket in the home', 'listen: ["unix:~/p.sock"]', 'is not a whole path', 'Such as'],
  ['a folder as a socket', 'listen: [unix:/run/]', 'is not a path', 'Such as'],
  ['a long path', `listen: [unix:/${'a'.repeat(107)}]`, 'at most 107 characters', 'Such as'],
  ['a redirected socket', 'listen: [{transparent: unix:/run/a}]', 'is a unix socket', '10.0.0.1:15001'],
  ['questions on a socket', 'listen: [{dns: unix:/run/a}]', 'is a unix socket', '10.0.0.1:53'],
  [
    'a place given twice',
    'listen: [127.0.0.1:80, {address: 127.0.0.1:80}]',
    '127.0.0.1:80 is given twice',
    'Take',
  ],
  [
    'one place for two kinds',
    'listen: [{dns: 10.0.0.1:53}, {transparent: 10.0.0.1:53}]',
    'given twice',
    'Take',
  ],
  ['an IPv6 place given twice', 'listen: ["[::1]:80", "[0:0::1]:80"]', '[::1]:80 is given twice', 'Take'],
  ['no address', 'listen: [{agent: ci}]', 'a listener without an address', 'transparent: for redirected'],
  ['two kinds', 'listen: [{address: 10.0.0.1:1, dns: 10.0.0.1:2}]', 'one of address, dns', 'Write address:'],
  [
    'an unknown key',
    'listen: [{address: 10.0.0.1:1, agnet: ci}]',
    "unknown key 'agnet'",
    "Did you mean 'agent'?",
  ],
  ['TLS where nothing is spoken to', `listen: [{transparent: 10.0.0.1:1, ${tls}}]`, "unknown key 'tls'", ''],
  [
    'a balancer before redirected ones',
    'listen: [{transparent: 10.0.0.1:1, proxy_protocol: [10.0.0.0/8]}]',
    'unknown key',
    '',
  ],
  ['no list', 'listen: 127.0.0.1:8880', "'listen' is a list", 'listen: [127.0.0.1:8880]'],
  [
    'TLS without key',
    'listen: [{address: 10.0.0.1:1, tls: {certificate: /c.pem}}]',
    'tls without its key',
    'key: /path',
  ],
  [
    'a relative path',
    'listen: [{address: 10.0.0.1:1, tls: {certificate: c.pem, key: /k.pem}}]',
    'is not a whole path',
    'from / on',
  ],
  [
    'balancers everywhere',
    'listen: [{address: 10.0.0.1:1, proxy_protocol: ["::/0"]}]',
    'lets everybody claim',
    'Name the addresses',
  ],
  [
    'balancers on a socket',
    'listen: [{address: unix:/run/a, proxy_protocol: [10.0.0.0/8]}]',
    'a unix socket has no balancer',
    '',
  ],
  [
    'no balancer',
    'listen: [{address: 10.0.0.1:1, proxy_protocol: []}]',
    "'proxy_protocol' is empty",
    'Take proxy_protocol out',
  ],
  ['a bad name of an agent', 'listen: [{dns: 10.0.0.1:53, agent: "a b"}]', 'is not the name of an agent', ''],
  ['a token in the file', 'agents: {bot: {token: abc}}', "'token' is not supported yet", 'Take it out'],
  ['no source', 'agents: {bot: {from: []}}', "'from' is empty", 'Take from out'],
  ['one source alone', 'agents: {bot: {from: 10.2.0.0/16}}', "'from' is a list", 'from: [10.2.0.0/16]'],
  ['a name as a source', 'agents: {bot: {from: [a.com]}}', 'is not an address or range', ''],
  [
    'bits beyond the prefix',
    'agents: {bot: {from: [10.2.0.1/16]}}',
    'is not an address or range',
    '10.2.0.0/16',
  ],
  [
    'a source of two agents',
    'agents: {a: {from: [10.0.0.0/8]}, b: {from: [10.0.0.0/8]}}',
    '10.0.0.0/8 is where a comes from',
    'Take it out',
  ],
  ['an amount without its time', 'limits: {bytes_up: 50 MB}', 'bytes_up is a size a day', 'Write 50 MB/day.'],
  ['an amount an hour', 'limits: {bytes_up: 50 MB/hour}', 'bytes_up is a size a day', '50 MB/day'],
  ['an amount of nothing', 'limits: {bytes_up: 0 MB/day}', 'bytes_up is a size a day', '50 MB/day'],
  ['megabits', 'limits: {bytes_up: 50 mb/day}', 'bytes_up is a size a day', '50 MB/day'],
  ['a number without unit', 'limits: {bytes_up: 50}', 'bytes_up is a size a day', '50 MB/day'],
  [
    'a limit that agents lack',
    'agents: {bot: {limits: {idle: 5m}}}',
    "unknown key 'idle' in the limits of an agent",
    'connections',
  ],
  [
    'a limit that rules lack',
    'allow: [{host: a.com, limits: {connections: 5}}]',
    "unknown key 'connections' in the limits of a rule",
    'bytes_up',
  ],
  ['a limit on a denial', 'deny: [{host: a.com, limits: {bytes_up: 5 MB/day}}]', "unknown key 'limits'", ''],
  ['an upgrade in a denial', 'deny: [{host: a.com, upgrade: [websocket]}]', "unknown key 'upgrade'", ''],
  [
    'an upgrade that is no list',
    'allow: [{host: a.com, upgrade: websocket}]',
    "'upgrade' is a list",
    'upgrade: [websocket]',
  ],
  ['an empty upgrade', 'allow: [{host: a.com, upgrade: []}]', "'upgrade' is empty", ''],
  ['no protocol', 'allow: [{host: a.com, upgrade: ["a b"]}]', "'a b' is not a protocol", 'Such as websocket'],
  ['every protocol', 'allow: [{host: a.com, upgrade: ["*/*"]}]', 'is not a protocol', 'websocket'],
  ['HTTP/2', 'allow: [{host: a.com, upgrade: [h2c]}]', 'could carry requests for any host', 'websocket'],
  ['TLS by upgrade', 'allow: [{host: a.com, upgrade: [TLS/1.0]}]', 'could carry requests for any host', ''],
  ['connections without number', 'limits: {connections: many}', 'a whole number from 1 to', ''],
  ['no connection', 'limits: {connections: 0}', 'connections is a whole number from 1', ''],
  ['few fields', 'limits: {header_count: 4}', 'header_count is a whole number from 16', ''],
  ['a very short head', 'limits: {head_timeout: 10ms}', 'head_timeout is a duration from 1s to 10m', ''],
  ['a very long life', 'limits: {lifetime: 800d}', 'lifetime is a duration from 1s to 365d', ''],
];

describe('a broken policy for a shared gateway', () => {
  for (const [title, text, problem, fix] of BROKEN)
    test(`is refused: ${title}`, () => {
      const [first] = problemsOf(text);
      expect(first).toContain(problem);
      expect(first).toContain(fix);
      expect(first).toStartWith('egress.yaml:1:');
      expect(first).toContain('^');
    });
});
