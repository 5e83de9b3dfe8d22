/** The servers that fenced programs talk to: HTTPS with HTTP/2, plain HTTP, WebSocket, and one that speaks first. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import { join, normalize } from 'node:path';
import type { Certificates } from './certificates.ts';

export const ORIGIN = '203.0.113.10';
export const ORIGIN6 = '2001:db8:1::10';
export const WEBSOCKET = '203.0.113.11';
/** Speaks first, then echoes in upper case; answers a half-close with the count of bytes it had. */
export const GREETER_PORT = 2222;

export interface Origins {
  /** Host headers (or HTTP/2 authorities) of the requests that arrived, in order. */
  hosts: string[];
  close(): void;
}

/** `/hello`, `/bytes/N` (N zero octets), POST `/hash` (SHA-256 of the body), anything else from `folder`. */
function answer(folder: string, hosts: string[]) {
  return (request: IncomingMessage, response: ServerResponse) => {
    const host = request.headers.host ?? String(request.headers[':authority' as 'host'] ?? '');
    hosts.push(host);
    const path = (request.url ?? '/').split('?')[0]!;
    if (path === '/hello') return void response.end(`hello from ${host} over HTTP/${request.httpVersion}\n`);
    const count = path.match(/^\/bytes\/(\d+)$/)?.[1];
    if (count !== undefined) return sendZeros(response, Number(count));
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
    response.end(readFileSync(file));
  };
}

function sendZeros(response: ServerResponse, count: number): void {
  const block = Buffer.alloc(1 << 20);
  let left = count;
  response.setHeader('content-length', count);
  const more = () => {
    while (left > 0) {
      const part = left >= block.length ? block : block.subarray(0, left);
      left -= part.length;
      if (!response.write(part)) return void response.once('drain', more);
    }
    response.end();
  };
  more();
}

export async function openOrigins(certificates: Certificates, folder: string): Promise<Origins> {
  const hosts: string[] = [];
  const tls = { cert: readFileSync(certificates.certificate), key: readFileSync(certificates.key) };
  const listener = answer(folder, hosts);
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
    hosts,
    close() {
      for (const { server } of servers) server.close();
      socketServer.stop(true);
      greeter.stop(true);
    },
  };
}
