/** Requests through this gateway beside the same through a real Squid: what we let through, its origin must see alike. */
import { Socket } from 'node:net';
import fc from 'fast-check';
import { install, startSquid } from '../../bench/peers.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import { serveProxy } from '../../src/gateway/proxylistener.ts';
import { parseAddress } from '../../src/names/address.ts';
import { compile } from '../../src/policy/compile.ts';
import { readDocument } from '../../src/policy/document.ts';
import { HEARD, openOrigin } from '../corpus/origin.ts';
import { same, type Target, target, words } from './target.ts';

const HOST = 'origin.test';
const LOOPBACK = parseAddress('127.0.0.1')!;

const mostly = (usual: string, ...odd: string[]) =>
  fc.oneof(
    { weight: 8, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(usual, ...odd) },
  );
const headers = fc.constantFrom(
  ...[
    'X-A: b\r\n',
    'X-A:\r\n',
    'Accept: */*\r\n',
    'Connection: x-a\r\nX-A: b\r\n',
    'TE: trailers\r\n',
    'Cookie: a=b; c=d\r\n',
    'X: \x80\r\n',
  ],
  ...[
    'Transfer-Encoding: chunked\r\n',
    'Content-Length: 5\r\n',
    'Content-Length: 05\r\n',
    'Expect: 100-continue\r\n',
    'X : y\r\n',
    ' x\r\n',
  ],
  ...[
    'Proxy-Connection: keep-alive\r\n',
    'Keep-Alive: 5\r\n',
    'Max-Forwards: 3\r\n',
    'Range: bytes=0-1\r\n',
    'Authorization: Basic eDp5\r\n',
  ],
);
/** `Connection: close`, so that both sides know when all is said. */
const requests = (port: number) =>
  words(
    mostly('GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'PATCH', 'get', 'PROPFIND'),
    fc.constant(` http://${HOST}:${port}`),
    fc.constantFrom('/', '/a?b=c', '/%41', '/a//b', '/../a', '/;x', '', '?x', "/!$&'()*+,=:@~", '/a%2fb'),
    mostly(' HTTP/1.1\r\n', ' HTTP/1.0\r\n'),
    mostly(`Host: ${HOST}:${port}\r\n`, `Host: ${HOST.toUpperCase()}:${port}\r\n`, ''),
    fc.array(headers, { maxLength: 3 }).map((each) => each.join('')),
    fc.constant('Connection: close\r\n\r\n'),
    fc.constantFrom('', '', 'hello', '5\r\nhello\r\n0\r\n\r\n', '0\r\n\r\n'),
  );

/** All that is heard until the other side closes, or is silent. */
function ask(port: number, octets: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = new Socket().connect(port, '127.0.0.1');
    const timer = setTimeout(() => socket.destroy(), 150);
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1');
      clearTimeout(timer);
      if (heard.endsWith(HEARD) || /^HTTP\/1.1 [45]/.test(heard)) socket.end();
      else setTimeout(() => socket.destroy(), 40);
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(heard));
    socket.write(Buffer.from(octets, 'latin1'));
  });
}

/** Null where there is no Squid. */
export async function createSquidTargets(): Promise<{
  targets: readonly Target[];
  close(): Promise<void>;
} | null> {
  if (!install('squid')) return null;
  const squid = await startSquid({ host: HOST, address: '127.0.0.1', log: false });
  // Squid lets nothing through to other ports than those of the web and above 1024.
  const PORT = 18_080;
  const origin = openOrigin(['127.0.0.1'], [PORT], [PORT]);
  const text = `version: 1\nallow: [{ host: ${HOST}, ports: [${PORT}], addresses: [127.0.0.0/8] }]\nlimits: {connections_per_second: 100000, connections_per_second_per_agent: 100000}\n`;
  const result = readDocument(text, 'fuzz.yaml');
  if (!result.ok) throw new Error(result.problems[0]?.message);
  const policy = compile([result.document]);
  const gateway = createGateway({
    policy: () => policy,
    clock: systemClock,
    recorder: { decide: async () => true, note() {}, writable: true, async flush() {}, async close() {} },
    resolver: () => ({ resolve: async () => ({ ok: true, addresses: [LOOPBACK] }) }),
    killed: () => false,
    selfAddresses: [],
    onRefusal() {},
  });
  const { port } = serveProxy(gateway, {
    where: { hostname: '127.0.0.1', port: 0 },
    agent: 'fuzz',
    session: 'fuzz',
  });
  /** What the origin saw of one request, through that proxy. */
  const seenThrough = async (proxy: number, octets: string) => {
    origin.forget();
    await ask(proxy, octets);
    return origin.visits.flatMap(({ requests }) =>
      requests.map(({ line, headers, body }) => {
        const host = headers
          .filter(([name]) => name.toLowerCase() === 'host')
          .map(([, value]) => value.toLowerCase());
        return { line: line.replace(/ HTTP.*/, ''), host, body };
      }),
    );
  };
  const compared = target('requests, beside Squid', requests(PORT), async (octets) => {
    const ours = await seenThrough(port, octets);
    if (origin.visits.some(({ broken }) => broken))
      throw new Error('the origin had octets that are no request');
    if (ours.length > 1) throw new Error(`one request became ${ours.length}`);
    const theirs = await seenThrough(squid.port, octets);
    // What only one of them lets through says nothing; what both do must arrive alike.
    if (ours.length === 0 || theirs.length === 0) return false;
    same('the request at the origin', ours[0], theirs[0]);
    return true;
  });
  return {
    targets: [compared],
    async close() {
      await gateway.close();
      origin.close();
      await squid.stop();
    },
  };
}
