/** The guide, as a stranger types it: no policy file, no options, the program's own folders empty. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PRESETS } from '../src/policy/presets/presets.ts';
import { keepAsking, linesOf } from './rig/lines.ts';
import { GREETER_PORT, ORIGIN, ORIGIN6 } from './rig/origins.ts';
import { inRig, openWorld, type World } from './rig/world.ts';

const CLAWCTL = process.env.CLAWCTL_TEST_BINARY ?? resolve(import.meta.dir, '../clawctl');
const ALLOWED = PRESETS.find((preset) => preset.name === 'default')!.hosts;
/** A second, and half of one for a busy machine. */
const SOON = 1_500;

describe.skipIf(!inRig)('somebody who follows the guide', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
    for (const host of [...ALLOWED, 'api.yourcompany.com', 'a.internal.company.com', 'internal.company.com'])
      world.nameServer.names.set(host, [ORIGIN, ORIGIN6]);
  });
  afterAll(() => world.close());
  beforeEach(() => {
    for (const name of ['XDG_CONFIG_HOME', 'XDG_STATE_HOME'])
      rmSync(join(world.environment[name]!, 'clawctl'), { recursive: true, force: true });
  });

  const type = (...words: string[]) => world.clawctl(words);
  const json = async (...words: string[]) =>
    JSON.parse((await type(...words, '--json')).stdout) as Record<string, unknown> & {
      items: Record<string, unknown>[];
    };
  const fence = (script: string, agent = 'agent') =>
    Bun.spawn([CLAWCTL, 'egress', 'run', '--quiet', '--agent', agent, '--', 'sh', '-c', script], {
      cwd: world.workspace,
      env: world.environment,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
    });
  const statusOf = async (host: string) =>
    (await type('run', '--', 'curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', `http://${host}/hello`))
      .stdout;

  test('reaches the default allowlist, and it is all that is allowed', async () => {
    const rows = (await type('list')).stdout
      .trimEnd()
      .split('\n')
      .map((row) => row.split('\t').slice(0, 2));
    expect(rows).toEqual([
      ...ALLOWED.map((host) => [host, '✓ Allowed']),
      ['* (everything else)', '✗ Blocked'],
    ]);
    for (const host of ALLOWED) expect(await statusOf(host)).toBe('200');
    for (const host of ['allowed.test', `www.${ALLOWED[0]}`]) expect(await statusOf(host)).toBe('403');
  });

  test('adds, lists and removes as it is written there', async () => {
    expect((await type('add', 'api.yourcompany.com')).code).toBe(0);
    expect((await type('add', '*.internal.company.com')).code).toBe(0);
    expect(await statusOf('api.yourcompany.com')).toBe('200');
    expect(await statusOf('a.internal.company.com')).toBe('200');
    expect(await statusOf('internal.company.com')).toBe('403');
    const listed = (await type('list')).stdout;
    for (const host of [...ALLOWED, 'api.yourcompany.com', '*.internal.company.com'])
      expect(listed).toContain(`${host}\t✓ Allowed\t80,443\t`);
    await type('add', 'api.oldservice.com');
    expect((await type('remove', 'api.oldservice.com')).code).toBe(0);
    expect((await type('remove', 'api.oldservice.com')).code).toBe(1);
    expect((await type('list')).stdout).not.toContain('api.oldservice.com');
  });

  test('sees in stats, blocked and list what happened, and the sums agree', async () => {
    await type('add', 'allowed.test');
    const script = (agent: string) =>
      fence(
        `for i in 1 2 3; do curl -s http://allowed.test/hello http://evil.test/; done; curl -s http://paypa1.com/`,
        agent,
      ).exited;
    await Promise.all(['one', 'two', 'three'].map(script));
    const { requests, allowed, blocked, failed, agents, hosts, blocked_hosts } = await json('stats');
    expect({ requests, allowed, blocked, failed, agents, hosts, blocked_hosts }).toEqual({
      ...{ requests: 21, allowed: 9, blocked: 12, failed: 0 },
      ...{ agents: 3, hosts: 3, blocked_hosts: 2 },
    });
    for (const by of ['host', 'agent']) {
      const { items } = await json('stats', '--by', by);
      expect(items.reduce((sum, item) => sum + Number(item.requests), 0)).toBe(21);
    }
    expect((await json('stats', '--agent', 'two')).requests).toBe(7);
    const refused = await json('blocked', '--last', '24h');
    expect(refused.items).toHaveLength(6);
    expect(refused.items.reduce((sum, item) => sum + Number(item.count), 0)).toBe(12);
    const rule = (await json('list')).items.find((item) => item.host === 'allowed.test')!;
    expect(rule.uses_24h).toBe(9);
    expect(Date.now() - Date.parse(String(rule.last_used))).toBeLessThan(60_000);
    expect((await type('blocked', '--agent', 'one')).stdout).toContain('evil.test\t80\tone\tno-rule\t3\t');
  });

  test('notes what imitates an allowed host, and metadata and private addresses', async () => {
    const urls = ['http://githud.com/', 'http://169.254.169.254/', 'http://10.0.0.1/', 'http://evil.test/'];
    await type('run', '--', 'curl', '-s', ...urls);
    const notes = Object.fromEntries((await json('blocked')).items.map(({ host, note }) => [host, note]));
    expect(notes).toEqual({
      'githud.com': expect.stringContaining('imitates github.com'),
      '169.254.169.254': 'metadata address',
      '10.0.0.1': 'private address',
      'evil.test': null,
    });
  });

  test('opens and shuts a running fence within a second', async () => {
    const running = fence(keepAsking('allowed.test'));
    const lines = linesOf(running.stdout);
    try {
      await lines.until('no-rule');
      for (const [command, becomes] of [
        ['add', '200'],
        ['remove', 'no-rule'],
        ['add', '200'],
      ] as const) {
        expect((await type(command, 'allowed.test')).code).toBe(0);
        const done = Date.now();
        await lines.until(becomes);
        expect(Date.now() - done).toBeLessThan(SOON);
      }
    } finally {
      running.kill('SIGTERM');
      await running.exited;
    }
  });

  test('takes a rule back, and the connection that it had opened is reset', async () => {
    await type('add', 'allowed.test', '--port', String(GREETER_PORT));
    const script = `import socket
s = socket.create_connection(("allowed.test", ${GREETER_PORT}))
print(s.recv(100).decode().strip(), flush=True)
try: s.recv(1)
except ConnectionResetError: print("reset", flush=True)`;
    const running = fence(`python3 -c '${script}'`);
    const lines = linesOf(running.stdout);
    await lines.until('220');
    await type('remove', 'allowed.test');
    const done = Date.now();
    await lines.until('reset');
    expect(Date.now() - done).toBeLessThan(SOON);
    await running.exited;
  });

  test('allows a host for a while', async () => {
    expect((await type('add', 'allowed.test', '--for', '2s', '--note', 'a try')).code).toBe(0);
    const began = Date.now();
    const running = fence(keepAsking('allowed.test'));
    const lines = linesOf(running.stdout);
    try {
      await lines.until('200');
      await lines.until('expired');
      expect(Date.now() - began).toBeLessThan(2_000 + SOON);
      expect((await type('list')).stdout).toMatch(/^allowed\.test\t· Expired\t80,443\t.*\ta try\t/m);
      expect((await json('check', 'allowed.test')).reason).toBe('expired');
    } finally {
      running.kill('SIGTERM');
      await running.exited;
    }
  });

  test('follows by tail what another fence does', async () => {
    await type('run', '--', 'true');
    const following = Bun.spawn([CLAWCTL, 'egress', 'tail', '--json'], {
      env: world.environment,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'ignore',
    });
    const lines = linesOf(following.stdout);
    const running = fence(keepAsking('evil.test'));
    try {
      const event = JSON.parse(await lines.until('"host":"evil.test","port":80'));
      expect(event).toMatchObject({
        ...{ schema: 'clawctl.egress.event/v1', kind: 'decision', agent: 'agent' },
        ...{ verdict: 'deny', reason: 'no-rule' },
      });
      expect(Date.now() - Date.parse(event.time)).toBeLessThan(10_000);
    } finally {
      running.kill('SIGTERM');
      following.kill('SIGINT');
    }
    expect(await following.exited).toBe(0);
    await running.exited;
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'ends a command by %s to clawctl, in order',
    async (signal) => {
      const running = fence(
        `trap 'echo ended; exit 9' INT TERM HUP; echo began; while :; do sleep 0.05; done`,
      );
      const lines = linesOf(running.stdout);
      await lines.until('began');
      running.kill(signal);
      await lines.until('ended');
      expect(await running.exited).toBe(9);
    },
  );
});
