/** `run` as somebody at a shell sees it. Nothing here needs a network: it is all refused before. */
import { afterAll, describe, expect, test } from 'bun:test';
import { chmodSync, existsSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPerson } from './person.fixture.ts';

const launcher = join(import.meta.dir, '../../clawctl');
const person = createPerson();
const canFence = (await person.type('egress run --quiet -- true')).code === 0;
if (!canFence) console.error('run is not tested: no fence can be built here');
afterAll(() => person.leave());

const run = (words: string[], environment: Record<string, string> = {}) =>
  person.type(['egress', 'run', ...words], { environment });
const shell = (script: string, ...options: string[]) => run([...options, '--', 'sh', '-c', script]);

/** Resolves when the text has come. */
function waitingFor(stream: ReadableStream<Uint8Array>): (text: string) => Promise<void> {
  const reader = stream.getReader();
  let seen = '';
  return async (text) => {
    while (!seen.includes(text)) seen += Buffer.from((await reader.read()).value!).toString();
  };
}

describe.skipIf(!canFence)('run', () => {
  test('passes on output and exit code', async () => {
    expect(await shell('echo out; echo err >&2; exit 7', '--quiet')).toEqual({
      code: 7,
      out: 'out\n',
      err: 'err\n',
    });
  });

  test('dies by the signal that the command died by', async () => {
    expect((await shell('kill -9 $$', '--quiet')).code).toBe(137);
  });

  test.each([
    [['--', 'nonesuch'], 127, 'nonesuch'],
    [['--', '/etc/passwd'], 126, '/etc/passwd'],
    [['--bogus', '--', 'true'], 125, '--bogus'],
    [[], 125, 'command'],
    [['--policy', 'nonesuch.yaml', '--', 'true'], 125, 'nonesuch.yaml'],
    [['--agent', 'a b', '--', 'true'], 125, 'name'],
    [['--socket', '/var/run/docker.sock', '--', 'true'], 125, 'docker.sock'],
  ])('%p is %p', async (words, code, hint) => {
    const seen = await run(words as string[]);
    expect(seen.code).toBe(code as number);
    expect(seen.err).toContain(hint as string);
  });

  test.skipIf(process.getuid?.() === 0)('looks past a folder of PATH that may not be searched', async () => {
    const closed = join(person.home, 'closed');
    mkdirSync(closed, { mode: 0 });
    const PATH = `${closed}:/usr/bin:/bin`;
    expect((await run(['--', 'nonesuch'], { PATH })).code).toBe(127);
    expect((await run(['--', 'true'], { PATH })).code).toBe(0);
    rmdirSync(closed); // what removes the home afterwards would try to look into it
  });

  test('tells of a refusal on standard error, inside, and afterwards', async () => {
    const script = 'curl -sS https://attacker.com/; curl -s http://clawctl.internal/';
    const { out, err } = await shell(script, '--agent', 'teller');
    expect(err).toContain('clawctl: refused attacker.com:443 (no-rule)');
    expect(err).toContain('clawctl egress add attacker.com');
    expect(err).toContain('clawctl: teller made 1 request to 1 host, 1 blocked');
    expect(out).toContain('attacker.com:443 refused (no-rule)');
    const { items } = await person.json('egress blocked --agent teller --json');
    expect(items).toMatchObject([
      { host: 'attacker.com', port: 443, agent: 'teller', reason: 'no-rule', count: 1 },
    ]);
  });

  test('says nothing of its own when quiet', async () => {
    expect((await shell('curl -s https://attacker.com/; true', '--quiet')).err).toBe('');
  });

  test('reports JSON lines on request', async () => {
    const { err } = await shell('curl -s https://attacker.com/; exit 3', '--json');
    const lines = err
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { schema: string });
    expect(lines.find(({ schema }) => schema === 'clawctl.egress.refusal/v1')).toMatchObject({
      host: 'attacker.com',
    });
    expect(lines.at(-1)).toMatchObject({
      schema: 'clawctl.egress.run/v1',
      exit_code: 3,
      requests: 1,
      blocked: 1,
    });
  });

  test('takes a new rule, a broken file and the kill switch while it runs', async () => {
    const folder = join(person.home, 'live');
    mkdirSync(folder);
    const policy = join(folder, 'p.yaml');
    writeFileSync(policy, 'version: 1\n');
    const reason = `curl -s -o /dev/null -D - http://x.test/ | tr -d '\\r' | sed -n 's/X-Clawctl-Reason: //p'`;
    const wait = (wanted: string) =>
      `until [ "$(${reason})" = ${wanted} ]; do sleep 0.05; done; echo ${wanted}`;
    const child = Bun.spawn(
      [
        'sh',
        '-c',
        `exec "$0" egress run --policy ${policy} -- sh -c "$1"`,
        launcher,
        [wait('no-rule'), wait('name-not-resolved'), wait('killed')].join('\n'),
      ],
      { env: person.environment, cwd: folder, stdout: 'pipe', stderr: 'pipe' },
    );
    const out = waitingFor(child.stdout);
    const err = waitingFor(child.stderr);
    await out('no-rule');
    // A name that resolves to nothing: the rule holds, and nothing is asked of the network.
    writeFileSync(policy, 'version: 1\nallow: [x.test]\ndns: {upstream: 127.0.0.1:1}\n');
    await out('name-not-resolved');
    writeFileSync(policy, 'versoin: 1\n');
    await err("Did you mean 'version'?");
    const kill = join(person.home, 'state/clawctl/egress.kill');
    writeFileSync(kill, '');
    try {
      await out('killed');
    } finally {
      rmSync(kill);
    }
    expect(await child.exited).toBe(0);
  });

  test('gives the command its environment, and obeys none of it', async () => {
    const { home } = person;
    const evil = join(home, 'evil.js');
    const bin = join(home, 'bin');
    writeFileSync(evil, `require('fs').writeFileSync('${home}/planted', '')`);
    mkdirSync(bin);
    for (const name of ['bwrap', 'bun', 'env']) {
      writeFileSync(join(bin, name), `#!/bin/sh\ntouch ${home}/planted\n`);
      chmodSync(join(bin, name), 0o755);
    }
    const planted = {
      BUN_OPTIONS: `--preload=${evil}`,
      NODE_OPTIONS: `--require=${evil}`,
      LD_LIBRARY_PATH: home,
      BUN_RUNTIME_TRANSPILER_CACHE_PATH: home,
    };
    const { out, code } = await run(['--quiet', '--', '/usr/bin/env'], {
      ...planted,
      PATH: `${bin}:/usr/bin:/bin`,
    });
    expect(code).toBe(0);
    for (const [name, value] of Object.entries(planted)) expect(out).toContain(`${name}=${value}\n`);
    expect(out).not.toContain('CLAWCTL_ENV_');
    expect(existsSync(join(home, 'planted'))).toBe(false);
  });
});
