/** Answers whether the service lives and is ready, over HTTP at a UNIX socket, for probes and for `status`. */
import { createServer, type Server } from 'node:http';

export interface Answer {
  status: 200 | 503;
  body: object;
}

/** What each path answers, asked anew every time. */
export type Questions = Readonly<Record<string, () => Answer>>;

export interface Admin {
  close(): void;
}

/** Rejects where it cannot listen. */
export async function serveAdmin(
  where: { path: string } | { host: string; port: number },
  questions: Questions,
): Promise<Admin> {
  const server: Server = createServer((request, response) => {
    const question = questions[(request.url ?? '').split('?')[0]!];
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return void response.writeHead(405, { allow: 'GET, HEAD' }).end();
    if (question === undefined) return void response.writeHead(404).end();
    const { status, body } = question();
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(`${JSON.stringify(body)}\n`);
  });
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
