/** Every spelling of a host, through every channel that a host can come by: none gets further by another door. */
import { describe, expect, test } from 'bun:test';
import { inRig } from '../rig/world.ts';
import { CASES, type Case, type Verdict } from './case.ts';
import { helloTo } from './clienthello.ts';
import { converse, type Outcome } from './conversation.ts';
import { accepts, aftermath, prepare } from './run.ts';
import { inSetting } from './setting.ts';

/** Hosts as they come on the wire, Latin-1: of the cases that are about a host, and more of the same kinds. */
const ALLOW_ANY = { allow: ['*'], deny: ['evil.test', '*.evil.test'], private_ranges: 'deny' } as const;
const ALLOW_ONE = { allow: ['allowed.test', '*.allowed.test'] } as const;
const MORE: [host: string, policy: Case['policy']][] = [
  ...[
    'evil.test',
    'EVIL.TEST',
    'evil.test.',
    'Evil.Test.',
    'evil.test..',
    '.evil.test',
    'evil..test',
    'e%76il.test',
  ]
    .concat([
      'evil.test\0',
      'evil.test\0.allowed.test',
      ' evil.test',
      'evil.test ',
      'evil\u00adtest',
      'evil\u200btest',
    ])
    .concat([
      'evil.test/',
      'evil.test:443',
      'evil.test@allowed.test',
      'allowed.test@evil.test',
      'evil.test#',
      'evil.test?',
    ])
    .concat([
      'sub.evil.test',
      'a.b.evil.test',
      '*.evil.test',
      '[evil.test]',
      'evil.test\r',
      'evil.test\n',
      '-evil.test',
    ])
    .concat([
      'evil-.test',
      'xn--evil.test',
      'xn--.test',
      'evil.test,allowed.test',
      'evil.test;allowed.test',
      'evil.test\\',
    ])
    .map((host): [string, Case['policy']] => [host, ALLOW_ANY]),
  ...[
    '127.0.0.1',
    '127.1',
    '127.0.1',
    '0',
    '0.0.0.0',
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '0177.0.0.1',
    '127.0.0.1.',
  ]
    .concat([
      '127.000.000.001',
      '0127.0.0.1',
      '127.0.0.0x1',
      '127.0.0.1%eth0',
      '[127.0.0.1]',
      '127。0。0。1',
      '①②⑦.0.0.1',
    ])
    .concat([
      '[::1]',
      '::1',
      '[::]',
      '[0:0:0:0:0:0:0:1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::127.0.0.1]',
    ])
    .concat([
      '[64:ff9b::7f00:1]',
      '[64:ff9b:1::a00:1]',
      '[2002:7f00:1::]',
      '[2001:0:7f00:1::80ff:fffe]',
      '[fe80::1%25lo]',
    ])
    .concat([
      '[fe80::5efe:127.0.0.1]',
      '[fec0::1]',
      '[fc00::1]',
      '[fd00:ec2::254]',
      '[ff02::1]',
      '[::1',
      '::1]',
      '[]',
      '[[::1]]',
    ])
    .concat([
      '10.0.0.1',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '100.64.0.1',
      '169.254.169.254',
      '0xa9fea9fe',
    ])
    .concat([
      '168.63.129.16',
      '192.0.0.192',
      '100.100.100.200',
      '198.18.0.1',
      '224.0.0.1',
      '240.0.0.1',
      '255.255.255.255',
    ])
    .concat([
      '203.0.113.66',
      '3405803842',
      '0xcb.0.113.66',
      '203.0.113.066',
      '203.0.28994',
      '1.2.3',
      '256.1.1.1',
      '1.2.3.4.5',
    ])
    .concat([
      'localhost',
      'LOCALHOST.',
      'foo.localhost',
      'ip6-localhost',
      'localhost.localdomain',
      'metadata',
      'router',
    ])
    .concat([
      'metadata.google.internal',
      'instance-data',
      'printer.local',
      'x.home.arpa',
      '127.0.0.1.nip.io',
      '10.0.0.1.sslip.io',
    ])
    .concat(['localtest.me', 'lvh.me', 'x.internal', 'a.onion', '0x', '0x.0x', '08.1', '1e3', '١.٢.٣.٤'])
    .map((host): [string, Case['policy']] => [Buffer.from(host).toString('latin1'), ALLOW_ANY]),
  ...[
    'evil.test',
    'allowed.test.evil.test',
    'evilallowed.test',
    'xallowed.test',
    'allowed.tes',
    'allowed.testx',
    'test',
  ]
    .concat([
      'allowed%2etest',
      'allowed.test\0.evil.test',
      'allowed.test/',
      'a..allowed.test',
      '.allowed.test',
      '*.allowed.test',
    ])
    .concat([
      `${'a'.repeat(64)}.allowed.test`,
      `${'a.'.repeat(125)}allowed.test`,
      '-a.allowed.test',
      'a b.allowed.test',
      '',
    ])
    .map((host): [string, Case['policy']] => [host, ALLOW_ONE]),
];

function hostOf({ input, channel }: Case): string | null {
  if (channel === 'policy') return null;
  if (input.host !== undefined) return input.host;
  const request = Buffer.from(input.segments?.at(-1)?.hex ?? '', 'hex');
  return input.decoded?.name === undefined ? null : request.toString('latin1', 5, 5 + request[4]!);
}

const refusedHosts: [string, Case['policy']][] = CASES.filter(
  ({ expected, also_ok, setup, policy }) =>
    expected !== 'allow' && !also_ok?.includes('allow') && setup === undefined && policy.allow !== undefined,
).flatMap((each): [string, Case['policy']][] => {
  const host = hostOf(each);
  return host === null || host === 'allowed.test' ? [] : [[host, each.policy]];
});
const SPELLINGS = [...refusedHosts, ...MORE];

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** The DNS question for a name, label by label as written. */
function question(host: string): Buffer {
  const labels = host.split('.').map((label) => Buffer.concat([Buffer.of(label.length & 63), latin1(label)]));
  return Buffer.concat([latin1('\x12\x34\x01\0\0\x01\0\0\0\0\0\0'), ...labels, Buffer.of(0, 0, 1, 0, 1)]);
}

/** As a case of that channel, or null where the channel cannot carry it. */
const DOORS: Record<string, (host: string) => Partial<Case> | null> = {
  connect: (host) => ({
    channel: 'connect',
    input: { raw: `CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n` },
  }),
  'http-proxy': (host) => ({
    channel: 'http-proxy',
    input: { raw: `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n` },
  }),
  socks5: (host) =>
    host.length > 255
      ? null
      : {
          channel: 'socks5',
          input: {
            segments: [
              { hex: '050100' },
              {
                hex: Buffer.concat([
                  Buffer.of(5, 1, 0, 3, host.length),
                  latin1(host),
                  Buffer.of(1, 0xbb),
                ]).toString('hex'),
              },
            ],
          },
        },
  SNI: (host) => ({
    channel: 'transparent-tls',
    input: { dst_ip: '93.184.215.14', dst_port: 443, hex: helloTo(host).toString('hex') },
    setup: { dns_binding: { '93.184.215.14': ['allowed.test'] } },
  }),
  Host: (host) => ({
    channel: 'transparent-http',
    input: { dst_ip: '93.184.215.14', dst_port: 80, raw: `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n` },
    setup: { dns_binding: { '93.184.215.14': ['allowed.test'] } },
  }),
  DNS: (host) => ({ channel: 'dns', input: { transport: 'udp', hex: question(host).toString('hex') } }),
};

describe.skipIf(!inRig)('a host that is refused in one place', () => {
  const setting = inSetting();

  for (const door of Object.keys(DOORS))
    test(`is refused by way of ${door} too`, async () => {
      const { stand, subject } = setting;
      const wrong: string[] = [];
      for (const [host, policy] of SPELLINGS) {
        const asked = DOORS[door]!(host);
        if (asked === null) continue;
        // A name is answered whatever it is: what counts is that nobody is asked.
        const also_ok: Verdict[] = door === 'DNS' ? ['error', 'allow'] : ['error'];
        const must_not = ['any upstream query that carries a denied name', 'dial evil.test'];
        const each = {
          ...{ id: `${door} ${JSON.stringify(host)}`, class: 'spelling', title: host, severity: '' },
          ...{ policy, expected: 'deny', also_ok, must_not: door === 'DNS' ? must_not : must_not.slice(1) },
          ...asked,
        } as Case;
        if (!prepare(each, stand, subject)) throw new Error(`${each.id}: the policy does not load`);
        const outcome: Outcome = await converse(each, subject);
        if (!accepts(each, outcome.verdict)) wrong.push(`${each.id}: ${outcome.verdict}`);
        wrong.push(...(await aftermath(each, stand, subject, outcome)).map((text) => `${each.id}: ${text}`));
      }
      expect(wrong).toEqual([]);
    }, 120_000);
});
