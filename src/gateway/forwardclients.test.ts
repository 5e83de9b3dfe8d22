/** Programs as people have them, by way of the proxy, to a server of Node's. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { unlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forwarding } from './forward.fixture.ts';
import { allow } from './gateway.fixture.ts';
import { TOKEN } from './proxy.fixture.ts';

const FILE = randomBytes(3_000_000);
const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const path = join(tmpdir(), `clawctl-forward-${process.pid}`);

let server: Server;
let origin: { port: number };
const seen: {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  sha: string;
  trailers: object;
}[] = [];

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/big') {
    response.end(FILE);
    return;
  }
  if (request.url === '/chunks') {
    response.writeHead(200, { Trailer: 'X-Sum' });
    for (let at = 0; at < FILE.length; at += 70_000) response.write(FILE.subarray(at, at + 70_000));
    response.addTrailers({ 'X-Sum': 'abc' });
    response.end();
    return;
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { method = '', url = '', headers, trailers } = request;
  const digest = sha(Buffer.concat(chunks));
  seen.push({ method, url, headers, sha: digest, trailers });
  response.writeHead(url === '/none' ? 204 : 200, { 'X-Seen': String(seen.length) });
  response.end(url === '/none' ? undefined : `${digest}\n`);
}

beforeAll(async () => {
  writeFileSync(path, FILE);
  server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  origin = { port: (server.address() as AddressInfo).port };
});
afterAll(() => {
  unlinkSync(path);
  server.close();
  server.closeAllConnections();
});

async function run(command: string[], port: number, credentials = `bot:${TOKEN}@`) {
  const proxy = `http://${credentials}127.0.0.1:${port}`;
  const env = {
    PATH: process.env.PATH!,
    http_proxy: proxy,
    HTTP_PROXY: proxy,
    NODE_USE_ENV_PROXY: '1',
    HOME: '/nonexistent',
  };
  const child = Bun.spawn(command, { env, stdout: 'pipe', stderr: 'pipe', timeout: 20_000 });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).bytes(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, text: Buffer.from(stdout).toString('latin1'), stderr, code };
}

const policy = `${allow('good.test')}  - { host: other.test, addresses: [127.0.0.0/8] }\n`;
const proxied = () => forwarding(policy, origin, { proxy: { agent: null } });
const has = (program: string) => Bun.which(program) !== null;

describe.skipIf(!has('curl'))('curl', () => {
  test('downloads, with a length, in chunks, and over one kept connection', async () => {
    const proxy = proxied();
    for (const url of ['http://good.test/big', 'http://good.test/chunks']) {
      const { stdout, code } = await run(['curl', '-sS', '--http1.1', url], proxy.port);
      expect([url, code, sha(stdout)]).toEqual([url, 0, sha(FILE)]);
    }
    const many = [
      'http://good.test/a',
      'http://other.test/b',
      'http://good.test/c',
      'http://bad.test/d',
      'http://good.test/e',
    ];
    const { stderr, text } = await run(['curl', '-sSv', ...many], proxy.port);
    expect(stderr.match(/^\* (?:Established )?[Cc]onne(?:ct|ction)\S* to .*$/gm)).toHaveLength(1);
    expect(stderr).toContain('Re-using existing');
    expect(text).toContain('bad.test:80 refused (no-rule)');
    expect(text.match(new RegExp(sha(new Uint8Array(0)), 'g'))).toHaveLength(4);
  });

  test('uploads, with a length, in chunks, and waiting for 100', async () => {
    const proxy = proxied();
    for (const upload of [
      ['-T', path],
      ['-T', '-'],
      ['--data-binary', `@${path}`],
      ['--data-binary', `@${path}`, '-H', 'Transfer-Encoding: chunked'],
      ['-T', path, '-H', 'Expect: 100-continue'],
    ]) {
      const line = ['sh', '-c', 'exec "$@" < "$0"', path, 'curl', '-sSv', ...upload, 'http://good.test/up'];
      const { text, stderr } = await run(line, proxy.port);
      expect([upload, text.trim()]).toEqual([upload, sha(FILE)]);
      if (upload.at(-1) === 'Expect: 100-continue') expect(stderr).toContain('< HTTP/1.1 100 Continue');
    }
  });

  test('shows refusals, 407 and what has no body', async () => {
    const proxy = proxied();
    const refused = await run(['curl', '-sS', '-i', 'http://bad.test/'], proxy.port);
    expect(refused.text).toContain('X-Clawctl-Reason: no-rule');
    const unknown = await run(['curl', '-sS', '-i', 'http://good.test/'], proxy.port, '');
    expect(unknown.text).toContain('HTTP/1.1 407 ');
    const head = await run(['curl', '-sS', '-I', 'http://good.test/big'], proxy.port);
    expect([head.code, head.text]).toEqual([0, expect.stringContaining('HTTP/1.1 200 OK')]);
    const none = await run(['curl', '-sS', '-i', 'http://good.test/none'], proxy.port);
    expect([none.code, none.text]).toEqual([0, expect.stringContaining('HTTP/1.1 204 ')]);
    const old = await run(['curl', '-sS', '--http1.0', 'http://good.test/chunks'], proxy.port);
    expect([old.code, sha(old.stdout)]).toEqual([0, sha(FILE)]);
    expect(JSON.stringify(seen)).not.toContain('proxy-');
  });
});

test.skipIf(!has('wget'))('wget downloads and is refused', async () => {
  const proxy = proxied();
  const { stdout, code } = await run(['wget', '-q', '-O', '-', 'http://good.test/chunks'], proxy.port);
  expect([code, sha(stdout)]).toEqual([0, sha(FILE)]);
  const refused = await run(['wget', '-nv', '-O', '-', 'http://bad.test/'], proxy.port);
  expect(refused.stderr).toContain('403');
});

test.skipIf(!has('python3'))('Python’s urllib asks, uploads and is refused', async () => {
  const proxy = proxied();
  const program = `
import urllib.request, urllib.error, hashlib
print(hashlib.sha256(urllib.request.urlopen('http://good.test/chunks').read()).hexdigest())
print(urllib.request.urlopen('http://good.test/up', data=open('${path}', 'rb').read()).read().decode().strip())
try: urllib.request.urlopen('http://bad.test/')
except urllib.error.HTTPError as e: print(e.code, e.headers['X-Clawctl-Reason'])
`;
  const { text, stderr } = await run(['python3', '-c', program], proxy.port);
  expect([text, stderr]).toEqual([`${sha(FILE)}\n${sha(FILE)}\n403 no-rule\n`, '']);
});

test.skipIf(!has('node'))('Node’s agent keeps its connection, in chunks and with trailers', async () => {
  const proxy = proxied();
  const program = `
const http = require('node:http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const auth = 'Basic ' + Buffer.from('bot:${TOKEN}').toString('base64');
const ask = (url, body) => new Promise((resolve, reject) => {
  const request = http.request({ host: '127.0.0.1', port: ${proxy.port}, path: url, agent, method: body ? 'POST' : 'GET',
    headers: { Host: new URL(url).host, 'Proxy-Authorization': auth, ...(body && { Trailer: 'X-Sent' }) } }, (response) => {
    let length = 0;
    response.on('data', (chunk) => { length += chunk.length; });
    response.on('end', () => resolve([response.statusCode, length, request.reusedSocket, response.trailers['x-sum'] ?? null]));
    response.on('error', reject);
  });
  request.on('error', reject);
  if (body) { request.write(body); request.addTrailers({ 'X-Sent': 'yes' }); }
  request.end();
});
(async () => {
  const answers = [];
  for (let i = 0; i < 20; i++) answers.push(await ask('http://good.test/' + i, i % 2 ? 'body' : null));
  answers.push(await ask('http://good.test/chunks'), await ask('http://bad.test/'));
  console.log(JSON.stringify([answers.filter(([status, , reused], i) => status === 200 && reused === i > 0).length, ...answers.slice(-2)]));
  agent.destroy();
})();
`;
  seen.length = 0;
  const { text, stderr } = await run(['node', '-e', program], proxy.port);
  expect(stderr).toBe('');
  expect(JSON.parse(text)).toEqual([
    21,
    [200, FILE.length, true, 'abc'],
    [403, expect.any(Number), true, null],
  ]);
  expect(seen[1]).toMatchObject({
    method: 'POST',
    sha: sha(Buffer.from('body')),
    trailers: { 'x-sent': 'yes' },
  });
  expect(seen[1]!.headers).toEqual({ host: 'good.test', trailer: 'X-Sent', 'transfer-encoding': 'chunked' });
});
