/** Every ClientHello that ever fooled somebody, by every door: only those that plainly name the host get through. */
import { describe, expect, test } from 'bun:test';
import { inRig } from '../rig/world.ts';
import type { Case } from './case.ts';
import { HELLOS } from './clienthello.ts';
import { converse } from './conversation.ts';
import { accepts, aftermath, prepare } from './run.ts';
import { inSetting } from './setting.ts';

/** Those that name allowed.test and nothing else; these may be read either way. */
const GOOD = ['ok', 'upper', 'alpn-h2'];
const EITHER = ['dot', 'too-large'];

const TARGET = 'allowed.test:443';
const DOORS: Record<string, (hello: Buffer) => Partial<Case>> = {
  transparent: (hello) => ({
    channel: 'transparent-tls',
    input: { dst_ip: '93.184.215.14', dst_port: 443, hex: hello.toString('hex') },
  }),
  'a transparent listener without names': (hello) => ({
    channel: 'transparent-tls',
    input: { dst_ip: '93.184.215.14', dst_port: 443, hex: hello.toString('hex'), unbound: true },
  }),
  CONNECT: (hello) => ({
    channel: 'connect',
    input: { raw: `CONNECT ${TARGET} HTTP/1.1\r\nHost: ${TARGET}\r\n\r\n` },
    // biome-ignore lint/suspicious/noThenProperty: the cases have it
    then: { raw: hello.toString('latin1') },
  }),
  'CONNECT, in one piece': (hello) => ({
    channel: 'http-proxy',
    input: { raw: `CONNECT ${TARGET} HTTP/1.1\r\nHost: ${TARGET}\r\n\r\n${hello.toString('latin1')}` },
  }),
  SOCKS5: (hello) => ({
    channel: 'socks5',
    input: { segments: [{ hex: '050100' }, { hex: '050100030c616c6c6f7765642e7465737401bb' }] },
    // biome-ignore lint/suspicious/noThenProperty: the cases have it
    then: { raw: hello.toString('latin1') },
  }),
};

describe.skipIf(!inRig)('a ClientHello', () => {
  const setting = inSetting();

  for (const [door, asked] of Object.entries(DOORS))
    test(`by way of ${door} is read as strictly`, async () => {
      const { stand, subject } = setting;
      const wrong: string[] = [];
      for (const [name, hello] of Object.entries(HELLOS)) {
        const good = GOOD.includes(name);
        const each = {
          ...{
            id: name,
            class: 'tls-sni',
            title: name,
            policy: { allow: door.endsWith('names') ? ['allowed.test'] : ['allowed.test', '*.allowed.test'] },
          },
          ...{ expected: good ? 'allow' : 'deny', also_ok: EITHER.includes(name) ? ['allow'] : ['error'] },
          must_not: ['dial the host that an OpenSSL server would serve as evil.test'],
          ...asked(hello()),
        } as Case;
        if (!prepare(each, stand, subject)) throw new Error('the policy does not load');
        const outcome = await converse(each, subject);
        // The tunnel was opened: what counts is what came of the hello.
        if (door.endsWith('piece') && !outcome.heard.endsWith('heard')) outcome.verdict = 'closed';
        if (!accepts(each, outcome.verdict)) wrong.push(`${name}: ${outcome.verdict}`);
        wrong.push(...(await aftermath(each, stand, subject, outcome)).map((text) => `${name}: ${text}`));
      }
      expect(wrong).toEqual([]);
    }, 120_000);
});
