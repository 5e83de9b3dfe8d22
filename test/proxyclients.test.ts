/** Real programs with nothing but what `env` prints, through a shared gateway, and what each shows of a refusal. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Browser, hasBrowser, openBrowser } from './rig/browser.ts';
import { linesOf } from './rig/lines.ts';
import { ORIGIN } from './rig/origins.ts';
import { NODE_SCRIPT, PROXY_PROGRAMS } from './rig/proxyprograms.ts';
import { freePort } from './rig/service.ts';
import { hasSsh, openSshServer, type SshServer } from './rig/sshd.ts';
import { inRig, openWorld, type World } from './rig/world.ts';

const CLAWCTL = process.env.CLAWCTL_TEST_BINARY ?? resolve(import.meta.dir, '../clawctl');
/** The interpreter itself: what stands for it on PATH may want more than a home. */
const PYTHON = Bun.spawnSync(['python3', '-c', 'import sys; print(sys.executable)']).stdout.toString().trim();
/** Whoever connects to an address of this machine comes from there. */
const SOMEWHERE = '203.0.113.20';

const nodeVersion = Bun.spawnSync(['node', '-p', 'process.versions.node']).stdout.toString().split('.');
const [major = 0, minor = 0] = nodeVersion.map(Number);
const MISSING: Record<string, boolean> = {
  OpenSSH: !hasSsh,
  'node that reads NODE_USE_ENV_PROXY': major < 22 || major === 23 || (major === 22 && minor < 21),
};
const lacks = (program: string) => MISSING[program] ?? Bun.which(program) === null;

const WHEEL = 'thing-1.0-py3-none-any.whl';
const MAKE_WHEEL = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as z:
    z.writestr('thing.py', 'print("hello")')
    z.writestr('thing-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: thing\\nVersion: 1.0\\n')
    z.writestr('thing-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    z.writestr('thing-1.0.dist-info/RECORD', '')`;

/** What git, npm and pip fetch. */
function fill(served: string, folder: string): void {
  const must = (cwd: string, ...command: string[]) => {
    const run = Bun.spawnSync(command, { cwd });
    if (run.exitCode !== 0) throw new Error(`${command.join(' ')}: ${run.stderr}`);
  };
  const source = join(folder, 'source');
  mkdirSync(source);
  const git = (...words: string[]) =>
    must(source, 'git', '-c', 'user.name=a', '-c', 'user.email=a@b.c', ...words);
  git('init', '-q');
  writeFileSync(join(source, 'file.txt'), 'hello\n');
  git('add', '.');
  git('commit', '-q', '-m', 'first');
  must(served, 'git', 'clone', '-q', '--bare', source, 'repository.git');
  must(join(served, 'repository.git'), 'git', 'update-server-info');
  writeFileSync(join(served, 'links.html'), `<!DOCTYPE html><a href="${WHEEL}">thing</a>`);
  must(served, PYTHON, '-c', MAKE_WHEEL, WHEEL);
  mkdirSync(join(folder, 'package'));
  writeFileSync(join(folder, 'package/package.json'), '{"name":"thing","version":"1.0.0"}');
  writeFileSync(join(folder, 'package/index.js'), "module.exports = 'hello';");
  must(folder, 'tar', '-czf', join(served, 'thing-1.0.0.tgz'), 'package');
  const digest = createHash('sha512')
    .update(readFileSync(join(served, 'thing-1.0.0.tgz')))
    .digest('base64');
  const dist = { tarball: 'https://allowed.test/thing-1.0.0.tgz', integrity: `sha512-${digest}` };
  writeFileSync(
    join(served, 'thing'),
    JSON.stringify({
      name: 'thing',
      'dist-tags': { latest: '1.0.0' },
      versions: { '1.0.0': { name: 'thing', version: '1.0.0', dist } },
    }),
  );
}

describe.skipIf(!inRig)('through a shared gateway', () => {
  const [port, ownPort, rangePort] = inRig ? [freePort(), freePort(), freePort()] : [0, 0, 0];
  /** Who somebody is, and by what. */
  const AGENTS = {
    'with a token': { agent: 'bot', proxy: `http://127.0.0.1:${port}` },
    'at a listener of its own': { agent: 'ci', proxy: `http://127.0.0.1:${ownPort}` },
    'from its address': { agent: 'vm', proxy: `http://${SOMEWHERE}:${rangePort}` },
    'as nobody': { agent: 'vm', proxy: `http://127.0.0.1:${port}` },
  };
  type Manner = keyof typeof AGENTS;
  const KNOWN = ['with a token', 'at a listener of its own', 'from its address'] as const;
  let world: World;
  let service: Bun.Subprocess;
  let sshServer: SshServer | null = null;
  let token = '';
  const printed = new Map<Manner, { variables: Record<string, string>; text: string }>();
  beforeAll(async () => {
    world = await openWorld();
    world.nameServer.names.set('other.test', [ORIGIN]);
    const config = join(world.environment.XDG_CONFIG_HOME!, 'clawctl');
    mkdirSync(config, { recursive: true });
    writeFileSync(
      join(config, 'egress.yaml'),
      `version: 1
listen:
  - 127.0.0.1:${port}
  - { address: 127.0.0.1:${ownPort}, agent: ci }
  - ${SOMEWHERE}:${rangePort}
allow:
  - allowed.test
  - { host: allowed.test, ports: [22] }
  - { host: other.test, tls: ech }
agents:
  vm: { from: [${SOMEWHERE}] }
`,
    );
    token = JSON.parse((await world.clawctl(['agents', 'add', 'bot', '--json'])).stdout).token;
    const child = Bun.spawn([CLAWCTL, 'egress', 'serve', '--workers', '1'], {
      cwd: world.folder,
      env: world.environment,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    service = child;
    await linesOf(child.stderr).until('clawctl: serving');
    fill(join(world.folder, 'served'), world.folder);
    if (hasSsh) {
      mkdirSync(join(world.folder, 'ssh'));
      sshServer = await openSshServer(join(world.folder, 'ssh'), ORIGIN);
    }
    for (const [manner, { agent, proxy }] of Object.entries(AGENTS)) {
      const words = ['env', '--agent', agent, '--proxy', proxy];
      const [how, input] = agent === 'bot' ? [['--token-file', '-'], token] : [[], ''];
      const shell = await world.clawctl([...words, ...how], { input });
      const json = JSON.parse((await world.clawctl([...words, ...how, '--json'], { input })).stdout);
      printed.set(manner as Manner, {
        text: shell.stdout,
        variables: { SSH_PROXY_COMMAND: json.ssh_proxy_command },
      });
    }
  });
  afterAll(async () => {
    service?.kill('SIGKILL');
    await service?.exited;
    sshServer?.close();
    world?.close();
  });

  /** Runs a script in a shell that obeyed what `env` printed. */
  const withEnv = async (manner: Manner, script: string, host: string) => {
    const { text, variables } = printed.get(manner)!;
    const child = Bun.spawn(['sh', '-c', `eval "$ENV_TEXT"; unset ENV_TEXT; ${script}`, host], {
      cwd: mkdtempSync(join(world.workspace, 'at-')),
      env: {
        ...world.environment,
        ...variables,
        ...{
          ENV_TEXT: text,
          CA: join(world.workspace, 'ca.pem'),
          BUN: process.execPath,
          NODE_CONNECT: NODE_SCRIPT,
          PYTHON,
          SOCKS: new URL(AGENTS[manner].proxy).host,
          LOGIN: manner === 'with a token' ? `bot:${token}@` : '',
          SSH_LOGIN: sshServer?.login.join(' ') ?? '',
        },
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { out, err, code, all: out + err };
  };
  const blocked = async (...more: string[]): Promise<{ host: string; port: number; reason: string }[]> =>
    JSON.parse((await world.clawctl(['blocked', '--json', ...more])).stdout).items;
  const reasonsOf = async (agent: string) =>
    new Set((await blocked('--agent', agent)).map(({ host, reason }) => `${host} ${reason}`));

  for (const { name, needs, script, refused } of PROXY_PROGRAMS) {
    const missing = needs.filter(lacks);
    if (missing.length > 0)
      console.warn(`skipped: ${name} through a proxy, for want of ${missing.join(', ')}`);
    test.skipIf(missing.length > 0)(
      `${name}: gets what is allowed, and shows why it gets nothing else`,
      async () => {
        for (const manner of KNOWN) {
          const { out, err } = await withEnv(manner, script, 'allowed.test');
          expect([manner, out, err]).toEqual([manner, expect.stringContaining('hello'), expect.any(String)]);
        }
        for (const manner of ['with a token', 'at a listener of its own'] as const) {
          const { code, out, all } = await withEnv(manner, script, 'evil.test');
          for (const part of refused) expect(all).toContain(part);
          expect([code === 0, out.includes('hello')]).toEqual([false, false]);
        }
      },
    );
  }

  test('each said at once who it is, and is recorded as that agent', async () => {
    for (const { agent } of KNOWN.map((manner) => AGENTS[manner])) {
      const { allowed } = JSON.parse((await world.clawctl(['stats', '--json', '--agent', agent])).stdout);
      expect(allowed).toBeGreaterThan(10);
    }
    expect(await reasonsOf('bot')).toEqual(new Set(['evil.test no-rule']));
    expect(await reasonsOf('ci')).toEqual(new Set(['evil.test no-rule']));
    expect(new Set((await blocked()).map(({ reason }) => reason))).toEqual(new Set(['no-rule']));
  });

  test('what a program did not show is told at clawctl.internal', async () => {
    for (const manner of ['with a token', 'at a listener of its own'] as const) {
      const { out } = await withEnv(manner, 'curl -sS "http://$0/"', 'clawctl.internal');
      expect(out).toContain('evil.test:443 refused (no-rule): no rule allows this host.');
    }
  });

  for (const { name, needs, script, unknown } of PROXY_PROGRAMS)
    test.skipIf(needs.some(lacks))(`${name}: shows that nobody knows who it is`, async () => {
      const { code, out, all } = await withEnv('as nobody', script, 'allowed.test');
      for (const part of unknown) expect(all).toContain(part);
      expect([code === 0, out.includes('hello')]).toEqual([false, false]);
    });

  if (!hasBrowser) console.warn('skipped: a browser through a proxy, for want of chromium');
  describe.skipIf(!hasBrowser)('Chromium', () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await openBrowser(world.folder, world.environment);
    });
    afterAll(() => browser?.close());
    const visit = (manner: Manner, url: string) =>
      browser.visit(
        url,
        AGENTS[manner].proxy,
        manner === 'with a token' ? { username: 'bot', password: token } : undefined,
      );

    for (const manner of KNOWN)
      test(`${manner}: gets what is allowed, and shows why it gets nothing else`, async () => {
        expect(await visit(manner, 'https://other.test/hello')).toMatchObject({
          error: '',
          text: expect.stringContaining('hello from other.test'),
        });
        expect((await visit(manner, 'http://allowed.test/hello')).text).toContain('hello from allowed.test');
        expect((await visit(manner, 'http://evil.test/')).text).toContain('evil.test:80 refused (no-rule)');
        expect(await visit(manner, 'https://evil.test/')).toMatchObject({
          error: 'net::ERR_TUNNEL_CONNECTION_FAILED',
          text: expect.stringContaining('ERR_TUNNEL_CONNECTION_FAILED'),
        });
        const { text } = await visit(manner, 'http://clawctl.internal/');
        expect(text).toContain('evil.test:443 refused (no-rule): no rule allows this host.');
      });

    test('gets nothing where a rule does not admit that it hides a server name, and is told so', async () => {
      const { error } = await visit('from its address', 'https://allowed.test/hello');
      expect(error).toStartWith('net::ERR_');
      expect((await visit('from its address', 'http://clawctl.internal/')).text).toContain('refused (ech)');
    });

    test('as nobody: shows that nobody knows who it is', async () => {
      expect((await visit('as nobody', 'http://allowed.test/hello')).text).toContain(
        'refused (credentials-missing)',
      );
      expect((await visit('as nobody', 'https://other.test/hello')).error).toStartWith('net::ERR_');
    });
  });

  test('nothing of all this went anywhere else', () => {
    expect(world.sink.arrivals).toEqual([]);
    expect(world.nameServer.questions).not.toContain('evil.test');
  });
});
