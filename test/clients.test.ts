/** Real programs that know nothing of us, inside a fence, against real servers. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GREETER_PORT, hashOfStream, STREAM } from './rig/origins.ts';
import { inRig, openWorld, type World } from './rig/world.ts';

const POLICY = `
version: 1
allow:
  - allowed.test
  - git.test
  - registry.test
  - ws.test
  - host: allowed.test
    ports: [${GREETER_PORT}]
`;

const GIGABYTE = 1 << 30;

/** The interpreter itself: what stands for it on PATH may want to change things after an installation. */
const PYTHON = Bun.spawnSync(['python3', '-c', 'import pip, sys; print(sys.executable)'])
  .stdout.toString()
  .trim();
const hasPip = PYTHON !== '';
if (!hasPip) console.warn('skipped: pip is not installed (python3-pip)');
const has = (program: string) => Bun.which(program) !== null;

describe.skipIf(!inRig)('a fenced program', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  const inside = async (...command: string[]) => {
    const done = await world.fenced(POLICY, command);
    if (done.code !== 0) console.error(done.stderr);
    return done;
  };

  for (const flags of [['--http1.1'], ['--http2'], ['-4'], ['-6']]) {
    test(`curl ${flags.join(' ')} over TLS`, async () => {
      const done = await inside('curl', '-sS', ...flags, 'https://allowed.test/hello');
      expect(done.stdout).toStartWith('hello from allowed.test');
      expect(done.code).toBe(0);
    });
  }

  test('curl over plain HTTP, ten requests on one connection', async () => {
    const urls = Array.from({ length: 10 }, () => 'http://allowed.test/hello');
    const done = await inside('curl', '-sS', '-w', '%{num_connects}', ...urls);
    expect(done.stdout.match(/hello from allowed\.test/g)).toHaveLength(10);
    expect(done.stdout).toEndWith('0');
  });

  test('git clones over https', async () => {
    const served = join(world.folder, 'served');
    const source = join(world.folder, 'source');
    mkdirSync(source, { recursive: true });
    const git = (cwd: string, ...args: string[]) => {
      const run = Bun.spawnSync(['git', '-c', 'user.name=a', '-c', 'user.email=a@b.c', ...args], { cwd });
      if (run.exitCode !== 0) throw new Error(`git ${args[0]}: ${run.stderr}`);
    };
    git(source, 'init', '-q');
    writeFileSync(join(source, 'file.txt'), 'content\n');
    git(source, 'add', '.');
    git(source, 'commit', '-q', '-m', 'first');
    git(served, 'clone', '-q', '--bare', source, 'repository.git');
    git(join(served, 'repository.git'), 'update-server-info');
    const done = await inside(
      'sh',
      '-c',
      'git clone -q https://git.test/repository.git && cat repository/file.txt',
    );
    expect(done.stdout).toBe('content\n');
  });

  test.skipIf(!hasPip)(
    'pip installs, and takes it from its cache in the copy of the home the next time',
    async () => {
      const served = join(world.folder, 'served', 'wheels');
      mkdirSync(served);
      expect(Bun.spawnSync(['python3', '-c', WHEEL], { cwd: served }).exitCode).toBe(0);
      const pip = '"$PYTHON" -m pip install -q --disable-pip-version-check --no-index';
      const script = `${pip} --find-links https://allowed.test/wheels/index.html --target "$0" thing && PYTHONPATH="$0" "$PYTHON" -m thing`;
      const options = { flags: ['--agent', 'pip'], environment: { PYTHON } };
      for (const folder of ['first', 'second']) {
        const done = await world.fenced(POLICY, ['sh', '-c', script, folder], options);
        expect(done).toMatchObject({ code: 0, stdout: 'the thing works\n' });
      }
      const fetched = world.origins.paths.filter((path) => path.endsWith('.whl'));
      expect(fetched).toEqual(['/wheels/thing-1.0-py3-none-any.whl']);
      expect(readdirSync(world.home)).toEqual([]);
    },
    60_000,
  );

  test('npm installs from a registry, and from its cache in the copy of the home the next time', async () => {
    const served = join(world.folder, 'served');
    writeFileSync(join(served, 'package.json'), '{"name":"thing","version":"1.0.0","main":"thing.js"}');
    writeFileSync(join(served, 'thing.js'), 'console.log("the thing works")');
    const pack = Bun.spawnSync(['npm', 'pack', '--silent', '--cache', join(world.folder, 'cache')], {
      cwd: served,
    });
    expect(pack.exitCode).toBe(0);
    const integrity = `sha512-${createHash('sha512')
      .update(readFileSync(join(served, 'thing-1.0.0.tgz')))
      .digest('base64')}`;
    const dist = { tarball: 'https://registry.test/thing-1.0.0.tgz', integrity };
    const versions = { '1.0.0': { name: 'thing', version: '1.0.0', main: 'thing.js', dist } };
    writeFileSync(
      join(served, 'thing'),
      JSON.stringify({ name: 'thing', 'dist-tags': { latest: '1.0.0' }, versions }),
    );
    const npm =
      'npm install --silent --no-audit --no-fund --no-update-notifier --cafile "$NODE_EXTRA_CA_CERTS" --registry https://registry.test/';
    const script = `mkdir "$0" && cd "$0" && echo {} > package.json && ${npm} thing && node -e 'require("thing")'`;
    for (const folder of ['one', 'two']) {
      const done = await world.fenced(POLICY, ['sh', '-c', script, folder], { flags: ['--agent', 'npm'] });
      expect(done).toMatchObject({ code: 0, stdout: 'the thing works\n' });
    }
    expect(world.origins.paths.filter((path) => path.endsWith('.tgz'))).toHaveLength(1);
    expect(readdirSync(world.home)).toEqual([]);
  }, 60_000);

  test('Node fetch', async () => {
    const script = 'fetch("https://allowed.test/hello").then((r) => r.text()).then(console.log)';
    const done = await inside('node', '-e', script);
    expect(done.stdout).toStartWith('hello from allowed.test');
  });

  test('Python urllib', async () => {
    const script =
      'import urllib.request as u; print(u.urlopen("https://allowed.test/hello").read().decode())';
    const done = await inside('python3', '-c', script);
    expect(done.stdout).toStartWith('hello from allowed.test');
  });

  test.skipIf(!has('wget'))('wget', async () => {
    const done = await inside(
      'wget',
      '-q',
      '-O-',
      `--ca-certificate=${join(world.workspace, 'ca.pem')}`,
      'https://allowed.test/hello',
    );
    expect(done.stdout).toStartWith('hello from allowed.test');
  });

  test.skipIf(!has('gcc'))('a static binary that reads no variable', async () => {
    writeFileSync(join(world.workspace, 'client.c'), STATIC_CLIENT);
    const build = Bun.spawnSync(['gcc', '-w', '-static', '-o', 'client', 'client.c'], {
      cwd: world.workspace,
    });
    expect(build.exitCode).toBe(0);
    const done = await inside('env', '-i', './client');
    expect(done.stdout).toContain('hello from allowed.test');
  });

  test('a server that speaks first on a port of its own, and a half-close', async () => {
    const script = [
      'import socket',
      `s = socket.create_connection(("allowed.test", ${GREETER_PORT}))`,
      'print(s.recv(100).decode().strip())',
      's.sendall(b"abc"); print(s.recv(3).decode())',
      's.shutdown(socket.SHUT_WR); print(s.recv(100).decode().strip())',
    ].join('\n');
    const done = await inside('python3', '-c', script);
    expect(done.stdout).toBe('220 greetings\nABC\nhad 3\n');
  });

  test('a WebSocket', async () => {
    writeFileSync(
      join(world.workspace, 'socket.mjs'),
      `const socket = new WebSocket('wss://ws.test/', { tls: { ca: Bun.file('ca.pem') } });
       socket.onopen = () => socket.send('hi');
       socket.onmessage = (event) => { console.log(event.data); socket.close(); };
       socket.onerror = (event) => { console.log('error', event.message); process.exit(1); };`,
    );
    const done = await inside(process.execPath, 'socket.mjs');
    expect(done.stdout).toBe('echo hi\n');
  });

  test('a download and an upload of a gigabyte arrive whole', async () => {
    const expected = hashOfStream(GIGABYTE);
    const down = await inside('sh', '-c', `curl -sS https://allowed.test/bytes/${GIGABYTE} | sha256sum`);
    expect(down.stdout.slice(0, 64)).toBe(expected);
    const stream = `head -c ${GIGABYTE} /dev/zero | openssl enc -${STREAM.cipher} -K ${STREAM.key} -iv ${STREAM.iv}`;
    const upload = 'curl -sS --http1.1 -H Expect: -T - https://allowed.test/hash';
    const up = await inside('sh', '-c', `${stream} | ${upload}`);
    expect(up.stdout).toBe(expected);
  }, 120_000);

  test('500 parallel connections', async () => {
    const script = `
      const https = require('node:https');
      const agent = new https.Agent({ maxSockets: 500 });
      let done = 0;
      for (let i = 0; i < 500; i += 1)
        https.get('https://allowed.test/hello', { agent }, (r) => r.resume().on('end', () => { done += r.statusCode === 200; if (done === 500) console.log('all'); }));`;
    const done = await inside('node', '-e', script);
    expect(done.stdout).toBe('all\n');
  }, 60_000);

  test('nothing of all this went anywhere else', () => {
    expect(world.sink.arrivals).toEqual([]);
  });
});

const STATIC_CLIENT = `
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
  struct addrinfo *a, hints = { .ai_socktype = SOCK_STREAM };
  if (getaddrinfo("allowed.test", "80", &hints, &a)) return 2;
  int s = socket(a->ai_family, SOCK_STREAM, 0);
  if (connect(s, a->ai_addr, a->ai_addrlen)) return 3;
  const char *q = "GET /hello HTTP/1.1\\r\\nHost: allowed.test\\r\\nConnection: close\\r\\n\\r\\n";
  write(s, q, strlen(q));
  char b[4096];
  for (ssize_t n; (n = read(s, b, sizeof b)) > 0;) write(1, b, n);
  return 0;
}`;

/** A wheel (PEP 427) of one module, and a page that links to it. */
const WHEEL = `
import zipfile, hashlib
name = "thing-1.0-py3-none-any.whl"
with zipfile.ZipFile(name, "w") as wheel:
    wheel.writestr("thing.py", "print('the thing works')")
    wheel.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: thing\\nVersion: 1.0\\n")
    wheel.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("thing-1.0.dist-info/RECORD", "")
open("index.html", "w").write(f'<!DOCTYPE html><a href="{name}">{name}</a>')`;
