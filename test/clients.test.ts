/** Real programs that know nothing of us, inside a fence, against real servers. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GREETER_PORT, hashOfStream, STREAM } from './rig/origins.ts';
import { inRig, openWorld, type World } from './rig/world.ts';

const POLICY = `
version: 1
allow:
  - allowed.test
  - git.test
  - ws.test
  - host: allowed.test
    ports: [${GREETER_PORT}]
`;

const GIGABYTE = 1 << 30;

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
