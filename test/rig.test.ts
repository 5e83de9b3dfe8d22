/** The rig itself: what these tests prove counts only if an unfenced program does reach the sink. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { finish, inRig, openWorld, type World } from './rig/world.ts';

describe.skipIf(!inRig)('without a fence', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  const curl = (...args: string[]) =>
    finish(
      Bun.spawn(['curl', '-sS', '--max-time', '5', ...args], {
        env: world.environment,
        cwd: world.workspace,
        stdin: 'pipe',
        stdout: 'pipe',
        stderr: 'pipe',
      }),
    );

  for (const version of ['--http1.1', '--http2']) {
    test(`curl ${version} reaches the origin over TLS`, async () => {
      const done = await curl(version, 'https://allowed.test/hello');
      expect(done.stdout).toStartWith('hello from allowed.test');
    });
  }

  test('plain HTTP reaches the origin over IPv6', async () => {
    const done = await curl('-6', 'http://allowed.test/hello');
    expect(done.stdout).toStartWith('hello from allowed.test');
  });

  test('anything else ends in the sink, whatever the address, port and protocol', async () => {
    await curl('--max-time', '1', 'http://evil.test:8080/secret');
    await curl('--max-time', '1', 'http://10.1.2.3/private');
    await curl('--max-time', '1', 'http://[2001:db8:66::1]/six');
    expect(world.sink.arrivals.filter((line) => line.includes('GET /'))).toHaveLength(3);
    expect(world.nameServer.questions).toContain('evil.test');
  });
});
