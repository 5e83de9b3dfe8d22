/** Agents that share a gateway: tokens that let in, and tokens that are taken back. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectBy, freePort, openService, type Service } from './rig/service.ts';

describe('a token', () => {
  let service: Service;
  let port: number;
  beforeEach(() => {
    service = openService();
    port = freePort();
    service.writePolicy(`version: 1
listen: ['127.0.0.1:${port}', {address: 'unix:${join(service.folder, 'ci.sock')}', agent: ci}]
allow: [{host: origin.test, ports: [${service.origin}], addresses: [127.0.0.0/8]}]
hosts: {origin.test: 127.0.0.1}
`);
  });
  afterEach(() => service.close());

  const login = (agent: string, token: string) =>
    `Proxy-Authorization: Basic ${Buffer.from(`${agent}:${token}`).toString('base64')}\r\n`;
  const target = () => `origin.test:${service.origin}`;
  const addAgent = async (agent: string) =>
    JSON.parse((await service.clawctl('agents', 'add', agent, '--json')).out).token as string;

  test('lets its agent in, and nobody else', async () => {
    const token = await addAgent('bot');
    await service.serve('--workers', '1');
    const answer = async (more: string) => (await connectBy({ port }, target(), more)).answer;
    expect(await answer(login('bot', token))).toBe('200');
    expect(await answer('')).toBe('407 credentials-missing');
    expect(
      await answer(
        login(
          'bot',
          token.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
        ),
      ),
    ).toBe('407 credentials-wrong');
    expect(await answer(login('other', token))).toBe('407 credentials-wrong');
    const unix = { unix: join(service.folder, 'ci.sock') };
    expect((await connectBy(unix, target())).answer).toBe('200');
    expect((await connectBy(unix, target(), login('bot', token))).answer).toBe('407 credentials-wrong');
    await service.saying('credentials-wrong', 'blocked', '--json');
    const found = Bun.spawnSync(['grep', '-rlF', '--', token.slice(0, -1), service.folder]);
    expect(found.stdout.toString()).toBe('');
  });

  test.each(['remove', 'rotate'])(
    'that meets agents %s ends its connections within a second, and no others',
    async (act) => {
      const [token, other] = [await addAgent('bot'), await addAgent('other')];
      await service.serve('--workers', '2');
      const open = (agent: string, token: string) =>
        Promise.all(Array.from({ length: 10 }, () => connectBy({ port }, target(), login(agent, token))));
      const [mine, theirs] = [await open('bot', token), await open('other', other)];
      for (const tunnel of [...mine, ...theirs]) expect(await tunnel.read()).toBe('hello\n');
      expect((await service.clawctl('agents', act, 'bot')).code).toBe(0);
      const began = performance.now();
      expect(await Promise.all(mine.map((tunnel) => tunnel.ended))).toEqual(mine.map(() => 'reset'));
      expect(performance.now() - began).toBeLessThan(1_000);
      expect((await connectBy({ port }, target(), login('bot', token))).answer).toBe('407 credentials-wrong');
      for (const tunnel of theirs) {
        tunnel.write('still here');
        expect(await tunnel.read()).toBe('still here');
      }
    },
  );

  test('that comes while the gateway runs lets its agent in within a second', async () => {
    await service.serve('--workers', '2');
    const token = await addAgent('late');
    const began = performance.now();
    while ((await connectBy({ port }, target(), login('late', token))).answer !== '200') await Bun.sleep(10);
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  test('has its agent told what it was refused, whichever worker it asks', async () => {
    const [token, other] = [await addAgent('bot'), await addAgent('other')];
    await service.serve('--workers', '3');
    const ask = async (agent: string, token: string) => {
      const proxy = `http://${agent}:${token}@127.0.0.1:${port}`;
      return await (await fetch('http://clawctl.internal/', { proxy, keepalive: false })).text();
    };
    expect((await connectBy({ port }, 'evil.test:443', login('bot', token))).answer).toBe('403 no-rule');
    const wanted = 'evil.test:443 refused (no-rule)';
    for (let inOrder = 0; inOrder < 30; )
      inOrder = (await ask('bot', token)).includes(wanted) ? inOrder + 1 : 0;
    expect((await ask('bot', token)).split(wanted)).toHaveLength(2);
    expect(await ask('bot', token)).not.toContain('times');
    expect(await ask('other', other)).not.toContain('evil.test');
  });

  test('is worth nothing while the file is damaged, and the gateway says so', async () => {
    const token = await addAgent('bot');
    const child = await service.serve('--workers', '1');
    const tunnel = await connectBy({ port }, target(), login('bot', token));
    expect(await tunnel.read()).toBe('hello\n');
    writeFileSync(join(service.folder, 'config/clawctl/agents.json'), '{');
    expect(await tunnel.ended).toBe('reset');
    await child.lines.until('cannot be used');
    expect((await connectBy({ port }, target(), login('bot', token))).answer).toBe('407 credentials-wrong');
    expect((await connectBy({ unix: join(service.folder, 'ci.sock') }, target())).answer).toBe('200');
  });
});
