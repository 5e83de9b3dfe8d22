/** The commands about agents and their tokens, as somebody at a shell sees them. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPerson, type Person } from './person.fixture.ts';

let person: Person;
beforeEach(() => {
  person = createPerson();
});
afterEach(() => person.leave());

const tokensFile = () => join(person.home, 'config/clawctl/agents.json');
const newToken = async (agent = 'bot') =>
  (await person.json(`egress agents add ${agent} --json`)).token as string;

/** What a shell has after it obeyed the text. */
function obeyed(text: string, environment: Record<string, string> = {}): Record<string, string> {
  const shell = Bun.spawnSync(['/bin/sh', '-c', 'eval "$1" && exec env -0', 'sh', text], {
    env: { PATH: process.env.PATH!, ...environment },
  });
  if (shell.exitCode !== 0) throw new Error(shell.stderr.toString());
  const lines = shell.stdout
    .toString()
    .split('\0')
    .filter((line) => line !== '');
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

describe('agents', () => {
  test('add prints the token once, alone, and keeps it nowhere', async () => {
    const { out, err, code } = await person.type('egress agents add support-bot');
    expect(code).toBe(0);
    expect(out).toMatch(/^[A-Za-z0-9_-]{43}\n$/);
    expect(err).toContain('not shown again');
    expect(err).toContain('clawctl egress env --agent support-bot');
    expect(err).not.toContain(out.trim());
    expect(statSync(tokensFile()).mode & 0o777).toBe(0o600);
    const grep = Bun.spawnSync(['grep', '-rlF', '--', out.trim(), person.home]);
    expect(grep.stdout.toString()).toBe('');
  });

  test('add and rotate give scripts the agent and its token', async () => {
    const added = await person.json('egress agents add bot --json');
    expect(added).toEqual({
      schema: 'clawctl.egress.agents-add/v1',
      agent: 'bot',
      token: added.token as string,
    } as never);
    const rotated = await person.json('egress agents rotate bot --json');
    expect(rotated.schema).toBe('clawctl.egress.agents-rotate/v1');
    expect(rotated.token).not.toBe(added.token);
  });

  test('add does not change a token that is there', async () => {
    await newToken();
    const before = readFileSync(tokensFile(), 'utf8');
    const { code, out, err } = await person.type('egress agents add bot');
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain('clawctl egress agents rotate bot');
    expect(readFileSync(tokensFile(), 'utf8')).toBe(before);
  });

  test('remove takes the token back, and says how the agent is still known', async () => {
    person.writePolicy(
      'agents: {bot: {from: [10.2.0.0/16], inherit: false}}\nlisten: [{address: 127.0.0.1:8881, agent: bot}]\n',
    );
    await newToken();
    const { code, out, err } = await person.type('egress agents remove bot');
    expect(code).toBe(0);
    expect(out).toContain('Took the token of bot back');
    expect(err).toContain('bot is still let in: from 10.2.0.0/16');
    expect(err).toContain('bot is still let in: at 127.0.0.1:8881');
    expect(readFileSync(person.policyFile, 'utf8')).toContain('inherit: false');
    expect((await person.type('egress agents remove bot')).code).toBe(1);
  });

  test('remove works while the policy is broken', async () => {
    await newToken();
    person.writePolicy('alow: []\n');
    expect((await person.type('egress agents remove bot')).code).toBe(0);
    expect(JSON.parse(readFileSync(tokensFile(), 'utf8')).agents).toEqual({});
  });

  test('list shows who has a token, who is known otherwise, and what each may use up', async () => {
    expect((await person.type('egress agents list')).err).toContain('clawctl egress agents add NAME');
    person.writePolicy(`
agents:
  vm: { from: [10.2.0.0/16], inherit: false, allow: [a.test, b.test], limits: { bytes_up: 50 MB/day, connections: 7 } }
listen: [{ address: 127.0.0.1:8881, agent: ci }]
allow: [{ host: c.test, agents: [bot] }]
`);
    await newToken();
    const { items } = await person.json('egress agents list --json');
    expect(items.map(({ agent }) => agent)).toEqual(['bot', 'ci', 'vm']);
    expect(items[0]).toMatchObject({ from: [], listeners: [], rules: 1, inherits: true });
    expect(Date.parse(items[0]!.token_created as string)).toBeGreaterThan(Date.now() - 60_000);
    expect(items[1]).toMatchObject({ token_created: null, listeners: ['127.0.0.1:8881'] });
    expect(items[2]).toMatchObject({
      from: ['10.2.0.0/16'],
      inherits: false,
      rules: 2,
      limits: { connections: 7, bytes_up_per_day: 50e6 },
    });
    expect((await person.type('egress agents list')).out).toContain(
      'vm\t\t10.2.0.0/16\t2\town rules only\t7\t50 MB/day',
    );
  });

  test('are in the records, without their tokens', async () => {
    const token = await newToken();
    await person.type('egress agents rotate bot');
    await person.type('egress agents remove bot');
    const { out } = await person.type(['egress', 'explain', '1', '--json']);
    expect(JSON.parse(out).event).toMatchObject({
      topic: 'agents-edited',
      text: 'gave bot a token, by hand',
    });
    for (const [number, text] of [
      [2, 'changed the token of bot'],
      [3, 'took the token of bot back'],
    ])
      expect((await person.type(`egress explain ${number}`)).out).toContain(String(text));
    expect(out).not.toContain(token);
  });

  test('refuse a bad name, and a file that others may write', async () => {
    expect((await person.type('egress agents add ../x')).err).toContain("'../x' is not the name of an agent");
    expect(existsSync(tokensFile())).toBe(false);
    await newToken();
    chmodSync(tokensFile(), 0o666);
    const { code, err } = await person.type('egress agents list');
    expect(code).toBe(1);
    expect(err).toContain('chmod 600');
    expect((await person.type('egress doctor')).out).toContain(
      'others may write it; nobody is let in by a token',
    );
  });
});

describe('env', () => {
  const URL_NAMES = [
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'ALL_PROXY',
    'npm_config_proxy',
    'npm_config_https_proxy',
    'PIP_PROXY',
  ];

  test('is what a shell obeys, with the token out of a variable', async () => {
    const token = await newToken('a+b@x');
    const { out, code } = await person.type('egress env --agent a+b@x');
    expect(code).toBe(0);
    const variables = obeyed(out, { CLAWCTL_TOKEN: token });
    for (const name of [...URL_NAMES, 'http_proxy', 'https_proxy', 'all_proxy'])
      expect(variables[name]).toBe(`http://a%2Bb%40x:${token}@127.0.0.1:8880`);
    expect(variables).toMatchObject({
      NO_PROXY: 'localhost,127.0.0.1,::1',
      no_proxy: 'localhost,127.0.0.1,::1',
      NODE_USE_ENV_PROXY: '1',
      GIT_HTTP_PROXY_AUTHMETHOD: 'basic',
    });
    const { username, password } = new URL(variables.HTTP_PROXY!);
    expect([decodeURIComponent(username), password]).toEqual(['a+b@x', token]);
  });

  test('stops a shell that has no token', async () => {
    await newToken();
    const { out } = await person.type('egress env --agent bot');
    expect(() => obeyed(out)).toThrow('put the token of bot there first');
  });

  test('takes the token out of a file, out of the document of add, or from standard input', async () => {
    const { out: document } = await person.type('egress agents add bot --json');
    const { token } = JSON.parse(document);
    const file = join(person.home, 'token');
    for (const text of [token, `${token}\n`, document]) {
      writeFileSync(file, text);
      const { out } = await person.type(`egress env --agent bot --token-file ${file}`);
      expect(obeyed(out).HTTPS_PROXY).toBe(`http://bot:${token}@127.0.0.1:8880`);
      const piped = await person.type('egress env --agent bot --format env-file --token-file -', {
        input: text,
      });
      expect(piped.out).toContain(`\nhttps_proxy=http://bot:${token}@127.0.0.1:8880\n`);
    }
  });

  test('refuses what is not the token of the agent', async () => {
    const token = await newToken('other');
    await newToken();
    for (const input of [token, 'x', '', '"; rm -rf /'])
      expect(
        await person.type('egress env --agent bot --format env-file --token-file -', { input }),
      ).toMatchObject({
        code: 2,
        out: '',
      });
  });

  test('refuses what is no token at all also where nobody here knows the agent', async () => {
    const words = 'egress env --agent far --proxy http://192.0.2.1:8880 --token-file -';
    for (const input of ['x', '$(id)', '"; rm -rf /'])
      expect(await person.type(words, { input })).toMatchObject({ code: 2, out: '' });
    const token = 'A'.repeat(43);
    expect(obeyed((await person.type(words, { input: token })).out).HTTP_PROXY).toBe(
      `http://far:${token}@192.0.2.1:8880`,
    );
  });

  test('never writes a token into a Dockerfile or a compose file', async () => {
    const token = await newToken();
    for (const format of ['docker', 'compose']) {
      const environment = { CLAWCTL_TOKEN: token };
      const { out, code } = await person.type(`egress env --agent bot --format ${format}`, { environment });
      expect(code).toBe(0);
      expect(out).not.toContain(token);
      expect(out).toContain('host.docker.internal:8880');
      const refused = await person.type(`egress env --agent bot --format ${format} --token-file -`, {
        input: token,
      });
      expect(refused).toMatchObject({ code: 2, out: '' });
    }
  });

  test('for a Dockerfile and for compose is what those read', async () => {
    await newToken();
    const { out: docker } = await person.type('egress env --agent bot --format docker');
    expect(docker).toContain('\nARG CLAWCTL_TOKEN\n');
    expect(docker).toContain(`\nENV HTTPS_PROXY="http://bot:\${CLAWCTL_TOKEN}@host.docker.internal:8880"\n`);
    const { out: compose } = await person.type('egress env --agent bot --format compose');
    const { environment, extra_hosts } = Bun.YAML.parse(compose) as Record<string, never>;
    expect(environment).toMatchObject({
      https_proxy: `http://bot:\${CLAWCTL_TOKEN:?the token of bot}@host.docker.internal:8880`,
      NODE_USE_ENV_PROXY: '1',
    });
    expect(extra_hosts as unknown).toEqual(['host.docker.internal:host-gateway']);
  });

  test('as JSON says whether the token is in it', async () => {
    const token = await newToken();
    const without = await person.json('egress env --agent bot --json');
    expect(without).toMatchObject({
      schema: 'clawctl.egress.env/v1',
      agent: 'bot',
      proxy: 'http://127.0.0.1:8880',
      token: `\${CLAWCTL_TOKEN}`,
      variables: { HTTP_PROXY: `http://bot:\${CLAWCTL_TOKEN}@127.0.0.1:8880` },
    });
    const environment = { CLAWCTL_TOKEN: token };
    const { out } = await person.type('egress env --agent bot --format json', { environment });
    expect(JSON.parse(out)).toMatchObject({
      token: 'given',
      variables: { HTTP_PROXY: `http://bot:${token}@127.0.0.1:8880` },
      ssh_proxy_command: `socat - PROXY:127.0.0.1:%h:%p,proxyport=8880,proxyauth=bot:${token}`,
    });
  });

  test('finds the listener in the policy, the agent’s own first', async () => {
    const proxyOf = async (agent: string, more = '') =>
      (await person.json(`egress env --agent ${agent} --json${more}`)).variables as unknown as Record<
        string,
        string
      >;
    person.writePolicy(`
listen:
  - unix:/run/proxy.sock
  - 10.0.0.1:3128
  - "[::]:8882"
  - 127.0.0.1:8880
  - { address: 127.0.0.1:8881, agent: ci }
  - { address: 10.0.0.1:8443, agent: tls, tls: { certificate: /c, key: /k } }
agents: { vm: { from: [10.2.0.0/16] } }
`);
    await newToken();
    expect((await proxyOf('bot')).HTTP_PROXY).toBe(`http://bot:\${CLAWCTL_TOKEN}@127.0.0.1:8880`);
    expect(await proxyOf('ci')).toMatchObject({ HTTP_PROXY: 'http://127.0.0.1:8881' });
    expect(await proxyOf('ci')).not.toHaveProperty('GIT_HTTP_PROXY_AUTHMETHOD');
    expect((await proxyOf('vm')).HTTP_PROXY).toBe('http://127.0.0.1:8880');
    expect((await proxyOf('tls')).HTTP_PROXY).toBe('https://10.0.0.1:8443');
    expect((await person.type('egress env --agent tls')).err).toContain('--proxy https://NAME:PORT');
    expect((await person.type('egress env --agent vm --format docker')).out).toContain(
      '"http://10.0.0.1:3128"',
    );
    expect((await proxyOf('bot', ' --proxy https://gate.example:8443')).ALL_PROXY).toBe(
      `https://bot:\${CLAWCTL_TOKEN}@gate.example:8443`,
    );
    expect((await proxyOf('ci', ' --proxy http://127.0.0.1:8881')).ALL_PROXY).toBe('http://127.0.0.1:8881');
    expect((await proxyOf('elsewhere', ' --proxy http://192.0.2.1:80')).ALL_PROXY).toBe(
      `http://elsewhere:\${CLAWCTL_TOKEN}@192.0.2.1:80`,
    );
  });

  test('refuses agents that no gateway would know, and proxies that are none', async () => {
    await newToken('support-bot');
    const unknown = await person.type('egress env --agent suport-bot');
    expect(unknown).toMatchObject({ code: 1, out: '' });
    expect(unknown.err).toContain("Did you mean 'support-bot'?");
    expect((await person.type('egress env --agent zzz')).err).toContain('clawctl egress agents add zzz');
    for (const proxy of [
      '10.0.0.1:8880',
      'socks5://10.0.0.1:8880',
      'ftp://10.0.0.1/',
      'http://a:b@10.0.0.1',
      'http://10.0.0.1/x',
      'http://"$(id)"/',
    ])
      expect(
        (await person.type(['egress', 'env', '--agent', 'support-bot', '--proxy', proxy])).err,
      ).toContain('is not the address of a proxy');
    for (const proxy of ['http://10.0.0.1', 'https://gate.example/', 'http://[2001:db8::1]'])
      expect(
        (await person.type(['egress', 'env', '--agent', 'support-bot', '--proxy', proxy])).err,
      ).toContain(`has no port`);
    expect((await person.type(['egress', 'env', '--agent', '$(id)'])).code).toBe(2);
  });
});
