import { afterEach, describe, expect, test } from 'bun:test';
import { createServer } from 'node:net';
import { decode, encode } from 'dns-packet';
import { createHttpsUpstream } from './https.ts';
import { honest } from './nameserver.fixture.ts';

/** For 127.0.0.1, signed by itself, made for this test. */
const SELF_SIGNED = `-----BEGIN CERTIFICATE-----
MIIBkDCCATagAwIBAgIUX2xKEkot5B/NK1LMKjbxsMa3j3cwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMjE1NTQxNFoYDzIxMjYxMDI5
MTU1NDE0WjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARgev6w9YO1NKLgv51JmiL7EFanIVZ4/nkelJzzs+YLLC6QvLuMtFdO
J1i79jLnWEbd3S/7xkGAEmYy5paBjnyTo2QwYjAdBgNVHQ4EFgQU6Jktmp/JRM7N
QNs4MAwLDg8s74kwHwYDVR0jBBgwFoAU6Jktmp/JRM7NQNs4MAwLDg8s74kwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0gAMEUC
IAYFNUWv11zaAIJtU9W6iqxKIGscIh0Nyp6H1bvsg6v1AiEArxQEBe4CDZBhyrdB
YQXn8ClJykIKrAt5us2WNYxoae8=
-----END CERTIFICATE-----`;
const SELF_SIGNED_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8+iK4FzKrWZ4MUG+
XM12FKMVHlQBcFA8uQK1Hj9trEGhRANCAARgev6w9YO1NKLgv51JmiL7EFanIVZ4
/nkelJzzs+YLLC6QvLuMtFdOJ1i79jLnWEbd3S/7xkGAEmYy5paBjnyT
-----END PRIVATE KEY-----`;

const HEADERS = { 'content-type': 'application/dns-message' };
let server: ReturnType<typeof Bun.serve> | undefined;
const stop = async () => {
  await server?.stop(true);
  server = undefined;
};
afterEach(stop);

/** The answer that an honest server gives to the question in a request. */
async function answerTo(request: Request): Promise<Buffer> {
  const bytes = Buffer.from(await request.arrayBuffer());
  const { name, type } = decode(bytes).questions![0]!;
  const asking = {
    name,
    sent: name,
    type,
    id: bytes.readUInt16BE(0),
    transport: 'tcp',
    clientPort: 0,
  } as const;
  const data = type === 'A' ? '192.0.2.1' : '2001:db8::1';
  return encode(honest(asking, { answers: [{ name, type: type as 'A', data, ttl: 60 }] }));
}

async function lookUp(fetch: (request: Request) => Response | Promise<Response>, timeout = 2_000) {
  await stop();
  server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch });
  const found = await createHttpsUpstream(
    `http://127.0.0.1:${server.port}/dns-query`,
    timeout,
  )('api.example');
  return found.ok ? found.addresses.map(({ text }) => text) : found.detail;
}

describe('DNS over HTTPS', () => {
  test('posts a question with id 0 and reads both families', async () => {
    const requests: string[] = [];
    const addresses = await lookUp(async (request) => {
      requests.push(
        `${request.method} ${new URL(request.url).pathname} ${request.headers.get('content-type')}`,
      );
      return new Response(await answerTo(request), { headers: HEADERS });
    });
    expect(addresses).toEqual(['192.0.2.1', '2001:db8::1']);
    expect(requests).toEqual(Array(2).fill('POST /dns-query application/dns-message'));
  });

  test('follows no redirect', async () => {
    let visits = 0;
    const detail = await lookUp((request) => {
      visits++;
      return new URL(request.url).pathname === '/dns-query'
        ? Response.redirect('/elsewhere', 307)
        : new Response();
    });
    expect([detail, visits]).toEqual(['http status 307', 2]);
  });

  test('refuses other content, other questions’ answers and over-long bodies', async () => {
    expect(await lookUp(() => new Response('hello'))).toBe('the answer is no DNS message');
    const strange = encode({ type: 'response', id: 0, questions: [{ name: 'b.example', type: 'A' }] });
    expect(await lookUp(() => new Response(strange, { headers: HEADERS }))).toBe(
      'the answer was to another question',
    );
    expect(await lookUp(() => new Response(Buffer.alloc(70_000), { headers: HEADERS }))).toBe(
      'the answer is too long',
    );
    expect(await lookUp(() => new Response('no', { status: 503 }))).toBe('http status 503');
  });

  test('does not read an endless body, nor wait for a silent server', async () => {
    const endless = () =>
      new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(9_000)) });
    expect(await lookUp(() => new Response(endless(), { headers: HEADERS }))).toBe('the answer is too long');
    expect(await lookUp(() => new Promise<Response>(() => {}), 100)).toBe('timeout');
  });

  test('says so when nobody is there', async () => {
    const found = await createHttpsUpstream('http://127.0.0.1:1/dns-query')('api.example');
    expect(found).toEqual({ ok: false, detail: 'ECONNREFUSED' });
  });
});

/** Looks a name up in a process of its own, since the environment is read at its start. */
async function lookUpIn(environment: Record<string, string>, url: string): Promise<string> {
  const script = `const { createHttpsUpstream } = await import(${JSON.stringify(`${import.meta.dir}/https.ts`)});
    const found = await createHttpsUpstream(${JSON.stringify(url)})('api.example');
    console.log(found.ok ? 'found' : found.detail);`;
  const child = Bun.spawn([process.execPath, '--no-env-file', '--config=/dev/null', '-e', script], {
    env: { ...process.env, ...environment },
    stderr: 'ignore',
  });
  return (await new Response(child.stdout).text()).trim();
}

describe('whatever the environment says', () => {
  test('no proxy is used', async () => {
    let visits = 0;
    const proxy = createServer((socket) => {
      visits++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as { port: number };
    server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: async (request) => new Response(await answerTo(request), { headers: HEADERS }),
    });
    const names = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'];
    const environment = Object.fromEntries(names.map((name) => [name, `http://127.0.0.1:${port}`]));
    expect(await lookUpIn(environment, `http://127.0.0.1:${server.port}/dns-query`)).toBe('found');
    expect(await lookUpIn(environment, 'https://127.0.0.1:1/dns-query')).toBe('ECONNREFUSED');
    expect(visits).toBe(0);
    proxy.close();
  });

  test('a certificate that nobody trusts is refused', async () => {
    server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      tls: { cert: SELF_SIGNED, key: SELF_SIGNED_KEY },
      fetch: async (request) => new Response(await answerTo(request), { headers: HEADERS }),
    });
    const url = `https://127.0.0.1:${server.port}/dns-query`;
    expect(await lookUpIn({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }, url)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
  });
});
