/** The servers that fenced programs talk to: HTTPS with HTTP/2, plain HTTP, WebSocket, and one that speaks first. */
import { createCipheriv, createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import { extname, join, normalize } from 'node:path';
import type { Certificates } from './certificates.ts';

export const ORIGIN = '203.0.113.10';
export const ORIGIN6 = '2001:db8:1::10';
export const WEBSOCKET = '203.0.113.11';
/** Speaks first, then echoes in upper case; answers a half-close with the count of bytes it had. */
export const GREETER_PORT = 2222;

export interface Origins {
  /** Host headers (or HTTP/2 authorities) of the requests that arrived, in order. */
  hosts: string[];
  /** Their paths, in the same order. */
  paths: string[];
  close(): void;
}

/** `/hello`, `/bytes/N` (N octets of the stream), POST `/hash` (SHA-256 of the body), anything else from `folder`. */
function answer(folder: string, { hosts, paths }: Pick<Origins, 'hosts' | 'paths'>) {
  return (request: IncomingMessage, response: ServerResponse) => {
    const host = request.headers.host ?? String(request.headers[':authority' as 'host'] ?? '');
    hosts.push(host);
    const path = (request.url ?? '/').split('?')[0]!;
    paths.push(path);
    if (path === '/hello') return void response.end(`hello from ${host} over HTTP/${request.httpVersion}\n`);
    const count = path.match(/^\/bytes\/(\d+)$/)?.[1];
    if (count !== undefined) return sendStream(response, Number(count));
    if (path === '/hash') {
      const hash = createHash('sha256');
      request.on('data', (chunk: Buffer) => hash.update(chunk));
      request.on('end', () => response.end(hash.digest('hex')));
      return;
    }
    const file = join(folder, normalize(path));
    if (!file.startsWith(folder) || !statSync(file, { throwIfNoEntry: false })?.isFile()) {
      response.statusCode = 404;
      return void response.end('nothing here\n');
    }
    // As package indexes answer: pages are HTML or JSON, and what was fetched may be kept.
    const type = { '.html': 'text/html', '.json': 'application/json' }[extname(file)];
    response.setHeader('content-type', type ?? 'application/octet-stream');
    response.setHeader('cache-control', 'max-age=3600');
    response.end(readFileSync(file));
  };
}

/** Any number of octets that never repeat, the same every time: what is lost, doubled or out of order shows. */
export const STREAM = { cipher: 'aes-128-ctr', key: '00'.repeat(16), iv: '00'.repeat(16) } as const;

/** Pieces of the stream, `count` octets in all. */
function* streamOf(count: number): Generator<Buffer> {
  const cipher = createCipheriv(STREAM.cipher, Buffer.from(STREAM.key, 'hex'), Buffer.from(STREAM.iv, 'hex'));
  const zeros = Buffer.alloc(1 << 18);
  for (let left = count; left > 0; left -= zeros.length)
    yield cipher.update(left >= zeros.length ? zeros : zeros.subarray(0, left));
}

/** SHA-256 of the stream's first octets, in hexadecimal. */
export function hashOfStream(count: number): string {
  const hash = createHash('sha256');
  for (const piece of streamOf(count)) hash.update(piece);
  return hash.digest('hex');
}

function sendStream(response: ServerResponse, count: number): void {
  const pieces = streamOf(count);
  response.setHeader('content-length', count);
  const more = () => {
    for (;;) {
      const { value, done } = pieces.next();
      if (done) return void response.end();
      if (!response.write(value)) return void response.once('drain', more);
    }
  };
  more();
}

export async function openOrigins(certificates: Certificates, folder: string): Promise<Origins> {
  const seen = { hosts: [] as string[], paths: [] as string[] };
  const tls = { cert: readFileSync(certificates.certificate), key: readFileSync(certificates.key) };
  const listener = answer(folder, seen);
  const servers = [ORIGIN, '::1'].flatMap((address) => [
    { server: createSecureServer({ ...tls, allowHTTP1: true }, listener as never), port: 443, address },
    { server: createServer(listener), port: 80, address },
  ]);
  await Promise.all(
    servers.map(
      ({ server, port, address }) => new Promise<void>((ready) => server.listen(port, address, ready)),
    ),
  );
  const socketServer = Bun.serve({
    hostname: WEBSOCKET,
    port: 443,
    tls,
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response('expected a WebSocket')),
    websocket: { message: (socket, text) => void socket.send(`echo ${text}`) },
  });
  const greeter = Bun.listen<{ count: number }>({
    hostname: ORIGIN,
    port: GREETER_PORT,
    allowHalfOpen: true,
    socket: {
      open(socket) {
        socket.data = { count: 0 };
        socket.write('220 greetings\n');
      },
      data(socket, bytes) {
        socket.data.count += bytes.length;
        socket.write(bytes.toString('latin1').toUpperCase());
      },
      end(socket) {
        socket.end(`had ${socket.data.count}\n`);
      },
    },
  });
  return {
    ...seen,
    close() {
      for (const { server } of servers) server.close();
      socketServer.stop(true);
      greeter.stop(true);
    },
  };
}
