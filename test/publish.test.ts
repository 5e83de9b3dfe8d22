/** A command in a fence that is a server itself: let in by a published port, and nothing else is opened by it. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Socket } from 'bun';
import { linesOf } from './rig/lines.ts';
import { createPerson, type Person, python, USERS, whyNoFence } from './rig/person.ts';
import { freePort } from './rig/service.ts';

const reason = await whyNoFence();

/** Greets, then echoes until the client has sent everything; then says how much that was. */
const SERVER = (address: string, family: string) => `
import socket, threading
l = socket.socket(socket.${family}, socket.SOCK_STREAM)
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(("${address}", 8080)); l.listen(512)
print("ready", flush=True)
def serve(s):
  n = 0
  try:
    while True:
      b = s.recv(65536)
      if not b: break
      n += len(b); s.sendall(b)
    s.sendall(b"had %d" % n); s.close()
  except OSError: print("broken", flush=True)
while True:
  s, _ = l.accept(); threading.Thread(target=serve, args=(s,), daemon=True).start()
`;

/** Everything that comes back; nothing where the connection is reset. */
async function talk(port: number, data: Uint8Array): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const ended = Promise.withResolvers<void>();
  let at = 0;
  const send = (socket: Socket) => {
    while (at < data.length) {
      const sent = socket.write(data.subarray(at));
      if (sent <= 0) return;
      at += sent;
    }
    socket.shutdown();
  };
  await Bun.connect({
    hostname: '127.0.0.1',
    port,
    allowHalfOpen: true,
    socket: {
      open: send,
      drain: send,
      data: (_socket, bytes) => void pieces.push(Buffer.from(bytes)),
      end(socket) {
        socket.end();
        ended.resolve();
      },
      close: () => ended.resolve(),
      error() {},
    },
  }).catch(() => ended.resolve());
  await ended.promise;
  return Buffer.concat(pieces);
}

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe.skipIf(reason !== null).each([...USERS])('for %s, a published port', (user) => {
  let person: Person;
  let port: number;
  beforeEach(() => {
    person = createPerson(user);
    port = freePort();
  });
  afterEach(() => person.leave());

  const start = async (flags: string[], address = '127.0.0.1', family = 'AF_INET') => {
    const child = person.start(`exec ${python(SERVER(address, family))}`, { flags });
    const lines = linesOf(child.stdout);
    await lines.until('ready');
    return { child, lines, err: linesOf(child.stderr) };
  };

  test.each([
    ['127.0.0.1', 'AF_INET'],
    ['0.0.0.0', 'AF_INET'],
    ['::1', 'AF_INET6'],
  ])('leads to a server on %s', async (address, family) => {
    const { child } = await start(['--publish', `${port}:8080`], address, family);
    expect(String(await talk(port, Buffer.from('hello')))).toBe('hellohad 5');
    child.kill();
    await child.exited;
  });

  test('carries megabytes both ways, unharmed, many at once and again and again', async () => {
    const { child } = await start(['--publish', `127.0.0.1:${port}:8080`]);
    for (let round = 0; round < 3; round++) {
      const sizes = Array.from({ length: 60 }, (_, each) => (each === 0 ? 8 << 20 : 1000 * each));
      await Promise.all(
        sizes.map(async (size) => {
          const data = randomBytes(size);
          const answer = await talk(port, data);
          expect(hash(answer.subarray(0, size))).toBe(hash(data));
          expect(String(answer.subarray(size))).toBe(`had ${size}`);
        }),
      );
    }
    child.kill();
    await child.exited;
  });

  test('resets whoever comes where nobody listens inside', async () => {
    const other = freePort();
    const { child } = await start(['--publish', `${port}:8080`, '--publish', `${other}:8081`]);
    expect((await talk(other, Buffer.from('hello'))).length).toBe(0);
    expect(String(await talk(port, Buffer.from('x')))).toBe('xhad 1');
    child.kill();
    await child.exited;
  });

  test('is cut by the kill switch, and open again after it', async () => {
    const { child, lines, err } = await start(['--agent', 'server', '--publish', `${port}:8080`]);
    const open = await Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        data: (socket) => got.resolve(socket),
        close: (_socket, error) => ended.resolve(error),
        error() {},
      },
    });
    const got = Promise.withResolvers<unknown>();
    const ended = Promise.withResolvers<unknown>();
    open.write('x');
    await got.promise;
    await person.egress(['kill', '--agent', 'server']);
    await ended.promise;
    await lines.until('broken');
    await err.until('server is stopped');
    expect((await talk(port, Buffer.from('hello'))).length).toBe(0);
    await person.egress(['resume']);
    await err.until('the kill switch is off again');
    expect(String(await talk(port, Buffer.from('hello')))).toBe('hellohad 5');
    child.kill();
    await child.exited;
  });

  test('opens nothing from the inside to the outside', async () => {
    const outside = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { open: () => void visits++, data() {} },
    });
    let visits = 0;
    const knock = python(`
import socket, os
for port in (${outside.port}, ${port}):
  try: socket.create_connection(("127.0.0.1", port), 1); print("connected", port)
  except OSError as e: print("refused", port)
print("open", [f for f in os.listdir("/proc/self/fd") if int(f) > 3])`);
    const { out } = await person.fenced(knock, { flags: ['--publish', `${port}:8080`] });
    expect(out).toContain(`refused ${outside.port}`);
    expect(out).toContain(`refused ${port}`);
    expect(out).toContain('open []');
    expect(visits).toBe(0);
    outside.stop(true);
  });

  test.each([
    ['a name', 'localhost:8080:80'],
    ['port 0', '0:80'],
    ['a port that is none', '70000'],
    ['nothing', ':80'],
  ])('cannot be %s', async (_, text) => {
    const { code, err } = await person.fenced('true', { flags: ['--publish', text] });
    expect([code, err]).toEqual([
      125,
      expect.stringContaining(`--publish ${text}: it is [HOST:]PORT[:PORT]`),
    ]);
  });

  test('that is taken stops the start', async () => {
    const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
    const { code, err } = await person.fenced('echo started', { flags: ['--publish', `${taken.port}`] });
    expect([code, err]).toEqual([
      125,
      expect.stringContaining(`127.0.0.1:${taken.port} cannot be listened on`),
    ]);
    taken.stop(true);
  });
});

describe('a command beside a proxy alone', () => {
  let person: Person;
  beforeEach(() => {
    person = createPerson(USERS[0]!);
    person.put(
      join(person.config, 'clawctl/egress.yaml'),
      'version: 1\nallow: [{host: nobody.test, ports: [1]}]\n',
    );
  });
  afterEach(() => person.leave());

  test('is judged and recorded where it asks the proxy, and NOT ENFORCED stands on every line', async () => {
    const { out, err, code } = await person.fenced(
      'curl -s http://evil.test/; curl -s https://evil.test/; exit 3',
      {
        flags: ['--proxy-only', '--agent', 'free'],
      },
    );
    expect(code).toBe(3);
    expect(out).toContain('evil.test:80 refused (no-rule)');
    const lines = err.trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(line).toStartWith('clawctl: NOT ENFORCED');
    const { out: blocked } = await person.egress(['blocked', '--json', '--agent', 'free']);
    expect(JSON.parse(blocked).items).toHaveLength(2);
  });

  test('shares its proxy with nobody who does not know its token', async () => {
    const { out } = await person.fenced(
      `p=\${HTTP_PROXY#*@}; curl -s -o /dev/null -w '%{http_code} ' -x "http://$p" http://nobody.test:1/
       curl -s -o /dev/null -w '%{http_code}' -x "http://x:y@$p" http://nobody.test:1/`,
      { flags: ['--proxy-only', '--quiet'] },
    );
    expect(out).toBe('407 407');
  });

  test('reports as JSON that nothing is enforced', async () => {
    const { err } = await person.fenced('curl -s http://evil.test/ >/dev/null', {
      flags: ['--proxy-only', '--json'],
    });
    const lines = err
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines[0].text).toStartWith('NOT ENFORCED');
    expect(lines.slice(1)).toEqual([
      expect.objectContaining({ schema: 'clawctl.egress.refusal/v1', enforced: false }),
      expect.objectContaining({ schema: 'clawctl.egress.run/v1', enforced: false, blocked: 1 }),
    ]);
  });

  test('takes no options that only a fence can keep', async () => {
    const { code, err } = await person.fenced('true', { flags: ['--proxy-only', '--read', '/etc'] });
    expect([code, err]).toEqual([125, expect.stringContaining('--read is about the fence')]);
  });

  test('ends as its command ends', async () => {
    expect((await person.fenced('kill -9 $$', { flags: ['--proxy-only', '--quiet'] })).code).toBe(137);
  });
});
