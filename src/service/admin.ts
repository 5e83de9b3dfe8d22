/** Answers whether the service lives and is ready, over HTTP at a UNIX socket, for probes and for `status`. */
import { createServer, type Server } from 'node:http';
import { Failure } from '../base/failure.ts';

/** Until an address that another process held is given up, and the milliseconds between. */
const TRIES = 100;
const BETWEEN_TRIES = 100;

export interface Answer {
  status: 200 | 503;
  body: object;
}

/** What each path answers, asked anew every time. */
export type Questions = Readonly<Record<string, () => Answer>>;

export interface Admin {
  close(): void;
}

/** Rejects with a Failure where it cannot listen. */
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
    server.once('error', (error: NodeJS.ErrnoException) => reject(failureAt(where, error)));
    server.listen(where, resolve);
  });
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The same at an address that another process gives up before long. Null where it is no longer wanted. */
export async function serveAdminOnceFree(
  where: { host: string; port: number },
  questions: Questions,
  isWanted: () => boolean,
): Promise<Admin | null> {
  for (let tries = 1; isWanted(); tries++) {
    try {
      return await serveAdmin(where, questions);
    } catch (error) {
      const isHeld = error instanceof Failure && error.code === 'address-taken';
      if (!isHeld || tries === TRIES) throw error;
      await Bun.sleep(BETWEEN_TRIES);
    }
  }
  return null;
}

function failureAt(
  where: { path: string } | { host: string; port: number },
  { code, message }: NodeJS.ErrnoException,
) {
  const place = 'path' in where ? where.path : `${where.host}:${where.port}`;
  if (code === 'EADDRINUSE')
    return new Failure('address-taken', `${place} is in use already.`, 'Give --admin another address.');
  return new Failure(
    'gateway-broken',
    `Probes cannot be answered at ${place}: ${message}`,
    'path' in where ? 'Look at the folder.' : 'Give --admin an address of this machine and a free port.',
  );
}
