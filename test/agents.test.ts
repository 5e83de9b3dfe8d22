/** Agents that share a gateway: real programs with nothing but what `env` prints, and tokens that are taken back. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { linesOf } from './rig/lines.ts';
import { GREETER_PORT } from './rig/origins.ts';
import { connectBy, freePort, openService, type Service } from './rig/service.ts';
import { inRig, openWorld, type World } from './rig/world.ts';

const CLAWCTL = process.env.CLAWCTL_TEST_BINARY ?? resolve(import.meta.dir, '../clawctl');
const has = (program: string) => Bun.which(program) !== null;
/** The interpreter itself: what stands for it on PATH may want more than a home. */
const PYTHON = Bun.spawnSync(['python3', '-c', 'import sys; print(sys.executable)']).stdout.toString().trim();

const WHEEL = 'thing-1.0-py3-none-any.whl';
const MAKE_WHEEL = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as z:
    z.writestr('thing.py', '')
    z.writestr('thing-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: thing\\nVersion: 1.0\\n')
    z.writestr('thing-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    z.writestr('thing-1.0.dist-info/RECORD', '')`;

/** What each program does with a host; `$0` is the host, `$CA` the authority's certificate. */
const PROGRAMS: ReadonlyArray<[name: string, needs: string, script: string]> = [
  ['curl', 'curl', 'curl -sS --fail "https://$0/hello"'],
  ['curl, plain HTTP', 'curl', 'curl -sS --fail "http://$0/hello"'],
  ['wget', 'wget', 'wget -q -O- --ca-certificate="$CA" "https://$0/hello"'],
  ['git', 'git', 'rm -rf got && git clone -q "https://$0/repository.git" got && cat got/file.txt'],
  [
    'pip',
    'python3',
    'rm -rf got; "$PYTHON" -m pip --isolated download -q --retries 0 --no-deps --no-cache-dir --no-index -d got --find-links "https://$0/links.html" thing && echo hello',
  ],
  [
    'Python’s urllib',
    'python3',
    '"$PYTHON" -c "import urllib.request as u; print(u.urlopen(\'https://$0/hello\').read().decode())"',
  ],
  ['npm', 'npm', 'npm view --silent --cafile "$CA" --cache ./cache --registry "https://$0/" thing version'],
  [
    'Bun’s fetch',
    'sh',
    '"$BUN" -e "const r = await fetch(\'https://$0/hello\', { tls: { ca: Bun.file(process.env.CA) } }); console.log(await r.text()); process.exit(r.ok ? 0 : 1)"',
  ],
  [
    'ssh’s way, by socat',
    'socat',
    'sh -c "$(printf %s "$SSH" | sed "s/%h/$0/; s/%p/443/")" < /dev/null && echo hello',
  ],
];

describe.skipIf(!inRig)('a program that has what env prints', () => {
  const port = inRig ? freePort() : 0;
  let world: World;
  let service: ReturnType<typeof serve>;
  let token = '';
  const serve = () => {
    const child = Bun.spawn([CLAWCTL, 'egress', 'serve', '--workers', '1', '--drain', '200ms'], {
      cwd: world.folder,
      env: world.environment,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return Object.assign(child, { lines: linesOf(child.stderr) });
  };
  beforeAll(async () => {
    world = await openWorld();
    const config = join(world.environment.XDG_CONFIG_HOME!, 'clawctl');
    mkdirSync(config, { recursive: true });
    writeFileSync(
      join(config, 'egress.yaml'),
      `version: 1\nlisten: ['127.0.0.1:${port}']\nallow: [allowed.test, {host: allowed.test, ports: [${GREETER_PORT}]}]\n`,
    );
    token = JSON.parse((await world.clawctl(['agents', 'add', 'bot', '--json'])).stdout).token;
    service = serve();
    await service.lines.until('clawctl: serving');
    const served = join(world.folder, 'served');
    const git = (cwd: string, ...args: string[]) =>
      Bun.spawnSync(['git', '-c', 'user.name=a', '-c', 'user.email=a@b.c', ...args], { cwd });
    const source = join(world.folder, 'source');
    mkdirSync(source);
    git(source, 'init', '-q');
    writeFileSync(join(source, 'file.txt'), 'hello\n');
    git(source, 'add', '.');
    git(source, 'commit', '-q', '-m', 'first');
    git(served, 'clone', '-q', '--bare', source, 'repository.git');
    git(join(served, 'repository.git'), 'update-server-info');
    writeFileSync(join(served, 'links.html'), `<a href="${WHEEL}">thing</a>`);
    expect(Bun.spawnSync([PYTHON, '-c', MAKE_WHEEL, WHEEL], { cwd: served }).exitCode).toBe(0);
    writeFileSync(
      join(served, 'thing'),
      JSON.stringify({
        name: 'thing',
        'dist-tags': { latest: '1.0.0' },
        versions: { '1.0.0': { name: 'thing', version: '1.0.0-hello' } },
      }),
    );
  });
  afterAll(async () => {
    service.kill('SIGKILL');
    await service.exited;
    world.close();
  });

  /** Runs a script in a shell that obeyed what `env` printed. */
  const withEnv = async (script: string, host: string) => {
    const printed = await world.clawctl(['env', '--agent', 'bot', '--token-file', '-'], { input: token });
    const json = JSON.parse(
      (await world.clawctl(['env', '--agent', 'bot', '--json', '--token-file', '-'], { input: token }))
        .stdout,
    );
    const child = Bun.spawn(['sh', '-c', `eval "$ENV_TEXT"; unset ENV_TEXT; ${script}`, host], {
      cwd: world.workspace,
      env: {
        ...world.environment,
        ...{
          ENV_TEXT: printed.stdout,
          CA: join(world.workspace, 'ca.pem'),
          BUN: process.execPath,
          PYTHON,
          SSH: json.ssh_proxy_command,
        },
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { out, err, code };
  };
  const allowedCount = async () =>
    JSON.parse((await world.clawctl(['stats', '--json', '--agent', 'bot'])).stdout).allowed as number;
  type Blocked = { host: string; count: number; reason: string };
  const blocked = async (...more: string[]): Promise<Blocked[]> =>
    JSON.parse((await world.clawctl(['blocked', '--json', ...more])).stdout).items;
  const blockedCount = async () =>
    (await blocked('--agent', 'bot')).reduce((sum, { count }) => sum + count, 0);

  for (const [name, needs, script] of PROGRAMS)
    test.skipIf(!has(needs))(
      `${name}: is that agent, gets what is allowed and nothing else`,
      async () => {
        const before = { allowed: await allowedCount(), blocked: await blockedCount() };
        const allowed = await withEnv(script, 'allowed.test');
        expect([allowed.out, allowed.err]).toEqual([expect.stringContaining('hello'), expect.any(String)]);
        expect(await allowedCount()).toBeGreaterThan(before.allowed);
        const refused = await withEnv(script, 'evil.test');
        expect([refused.code === 0, refused.out.includes('hello')]).toEqual([false, false]);
        // A refusal is in the store a moment later.
        while ((await blockedCount()) === before.blocked) await Bun.sleep(20);
        expect(world.sink.arrivals).toEqual([]);
      },
      30_000,
    );

  test('none of them was ever asked who it is: each said so at once', async () => {
    const all = await blocked();
    expect(new Set(all.map(({ host, reason }) => `${host} ${reason}`))).toEqual(
      new Set(['evil.test no-rule']),
    );
  });
});

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
    const { out } = await service.clawctl('blocked', '--json');
    expect(out).toContain('credentials-wrong');
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
