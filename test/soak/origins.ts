/** Origins of a soak: one that echoes, or breaks off, stalls and floods where it is told to, and one that speaks HTTP. */
import { createHash } from 'node:crypto';
import { createServer, type Server as HttpServer } from 'node:http';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';

/** The first octet of a connection: what becomes of it. None of them is text, so nobody takes it for HTTP. */
export const MODE = { echo: 0, breakOff: 1, stall: 2, flood: 3, answerAtEnd: 4 } as const;
/** What a flood sends. */
export const FLOOD = 4 << 20;

export interface Origins {
  echoPort: number;
  httpPort: number;
  close(): void;
}

const listening = <T extends Server | HttpServer>(server: T): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });

function speak(socket: Socket): void {
  let mode: number | null = null;
  let had = 0;
  const hash = createHash('sha256');
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    const octets = Buffer.from(bytes);
    had += octets.length;
    hash.update(octets);
    if (mode === null) {
      mode = octets[0]!;
      if (mode === MODE.flood) {
        const block = Buffer.alloc(1 << 16, 7);
        let left = FLOOD;
        const more = () => {
          while (left > 0 && !socket.destroyed) {
            left -= block.length;
            if (!socket.write(block)) return void socket.once('drain', more);
          }
          socket.end();
        };
        more();
      }
    }
    if (mode === MODE.echo && !socket.write(octets)) {
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
    if (mode === MODE.breakOff && had > 20_000) socket.resetAndDestroy();
  });
  socket.on('end', () => {
    if (mode === MODE.answerAtEnd) socket.end(hash.digest('hex'));
    else if (mode !== MODE.stall) socket.end();
  });
}

export async function openOrigins(): Promise<Origins> {
  const echo = createTcpServer({ allowHalfOpen: true }, speak);
  const http = createServer((request, response) => {
    const hash = createHash('sha256');
    request.on('error', () => {});
    request.on('data', (part: Buffer) => hash.update(part));
    request.on('end', () => {
      const count = Number(/^\/bytes\/(\d+)/.exec(request.url ?? '')?.[1] ?? 0);
      if (count === 0) return void response.end(hash.digest('hex'));
      // With a length, in chunks, or until the connection ends.
      if (count % 3 === 0) response.setHeader('content-length', count);
      if (count % 3 === 1) response.setHeader('connection', 'close');
      for (let left = count; left > 0; left -= 50_000)
        response.write(Buffer.alloc(Math.min(left, 50_000), count % 251));
      response.end();
    });
  });
  const [echoPort, httpPort] = await Promise.all([listening(echo), listening(http)]);
  return {
    echoPort,
    httpPort,
    close() {
      echo.close();
      http.close();
      http.closeAllConnections();
    },
  };
}
