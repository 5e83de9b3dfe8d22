/** What a service says that cannot start as it was told to. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { connectBy, freePort, openService, type Service } from './rig/service.ts';
import { inRig } from './rig/world.ts';

let service: Service;
let port: number;
beforeEach(() => {
  service = openService();
  port = freePort();
});
afterEach(() => service.close());

const listen = () => ['--listen', `127.0.0.1:${port}`];

const ELSEWHERE: Case = [['--listen', '192.0.2.1:8880'], 1, 'Name an address of this machine'];
type Case = [words: string[], code: number, text: string];

describe('a service that cannot be as it was told says why, what to do, and ends', () => {
  const cases: Case[] = [
    [['--listen', '8880'], 2, 'Write 127.0.0.1:8880'],
    [['--listen', 'unix:/no/such/folder/x'], 1, 'Make its folder first'],
    // In the rig every address is this machine's.
    ...(inRig ? [] : [ELSEWHERE]),
    [['--listen', '127.0.0.1:1', '--transparent', '127.0.0.1:1'], 2, '127.0.0.1:1 is given twice'],
    [['--listen', '127.0.0.1:0', '--agent', 'x y'], 2, "'x y' is not the name of an agent"],
    [['--workers', '0'], 2, 'Give one from 1 to 16'],
    [['--drain', 'soon'], 2, '24h at most'],
    [['--name', '../x'], 2, 'not the name of a service'],
  ];
  for (const [words, code, text] of cases)
    test(words.join(' '), async () => {
      const done = await service.clawctl('serve', ...words);
      expect([done.code, done.out, done.err]).toEqual([code, '', expect.stringContaining(text)]);
    });

  test('--agent where only the policy has listeners', async () => {
    service.writePolicy(`version: 1\nlisten: ['127.0.0.1:${port}']\n`);
    const { code, err } = await service.clawctl('serve', '--agent', 'bot');
    expect([code, err]).toEqual([2, expect.stringContaining('Add --listen')]);
  });

  test('a certificate that is not there', async () => {
    const files = '{certificate: /no/chain.pem, key: /no/key.pem}';
    service.writePolicy(`version: 1\nlisten: [{address: '127.0.0.1:${port}', tls: ${files}}]\n`);
    const { code, err } = await service.clawctl('serve', '--workers', '1');
    expect([code, err]).toEqual([1, expect.stringContaining('In /no/chain.pem there has to be the chain')]);
  });

  test.each([
    ['a place that is taken', () => `'127.0.0.1:${service.origin}'`],
    [
      'a certificate that is not there',
      () => `{address: '127.0.0.1:${port}', tls: {certificate: /no, key: /no}}`,
    ],
  ] as const)('%s, of which no socket and no folder is left behind', async (_what, place) => {
    const path = join(service.folder, 'proxy.sock');
    service.writePolicy(`version: 1\nlisten: ['unix:${path}', ${place()}]\n`);
    expect((await service.clawctl('serve', '--workers', '1')).code).toBe(1);
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(join(service.folder, 'runtime/clawctl'))).toEqual([]);
    // What others made stays: here the running service's.
    service.writePolicy(`version: 1\nlisten: ['unix:${path}']\n`);
    await service.serve('--workers', '1');
    service.writePolicy(`version: 1\nlisten: ['unix:${path}', ${place()}]\n`);
    expect((await service.clawctl('serve', '--workers', '1', '--takeover')).code).toBe(1);
    expect((await connectBy({ unix: path }, 'a.test:443')).answer).toContain('40');
    expect((await service.condition()).state).toBe('serving');
  });

  test('an address for probes that is taken, of which nothing is left behind', async () => {
    const words = ['serve', ...listen(), '--workers', '1', '--admin', `127.0.0.1:${service.origin}`];
    const { code, err } = await service.clawctl(...words);
    expect([code, err]).toEqual([1, expect.stringContaining('Give --admin another address')]);
    expect(err).not.toContain('    at ');
    expect(await connectBy({ port }, 'a.test:443').catch(() => 'nobody')).toBe('nobody');
  });

  test('an address that is taken, with --takeover and nobody to take over from', async () => {
    const words = ['--listen', `127.0.0.1:${service.origin}`, '--takeover'];
    const { code, err } = await service.clawctl('serve', ...words);
    const where = `no service 'default' runs in ${service.folder}/runtime/clawctl/serve-default, by XDG_RUNTIME_DIR`;
    expect([code, err]).toEqual([1, expect.stringContaining(`${where}: this one starts anew`)]);
    expect(err).toContain("no service 'default' was found in");
    expect(err).not.toContain('use --takeover');
  });

  test('a broken policy, a taken address, and a service that runs already', async () => {
    await service.serve(...listen(), '--workers', '1');
    const beside = await service.clawctl('serve', '--listen', `127.0.0.1:${freePort()}`);
    expect([beside.code, beside.err]).toEqual([1, expect.stringContaining('--takeover')]);
    const taken = await service.clawctl('serve', ...listen(), '--name', 'other');
    expect([taken.code, taken.err]).toEqual([1, expect.stringContaining(`127.0.0.1:${port} is in use`)]);
    service.writePolicy('versoin: 1\n');
    const broken = await service.clawctl('serve', '--name', 'third');
    expect([broken.code, broken.err]).toEqual([2, expect.stringContaining("Did you mean 'version'?")]);
  });
});

test('status of a service that is not found says where it looked, and how to start that one', async () => {
  const { code, err } = await service.clawctl('status', '--name', 'nosuch');
  expect([code, err]).toEqual([4, expect.stringContaining('clawctl egress serve --name nosuch')]);
  expect(err).toContain(`${service.folder}/runtime/clawctl/serve-nosuch, by XDG_RUNTIME_DIR`);
  delete service.environment.XDG_RUNTIME_DIR;
  const other = await service.clawctl('status');
  expect(other.err).toContain(
    '/state/clawctl/runtime/clawctl/serve-default, because XDG_RUNTIME_DIR is not set',
  );
});
