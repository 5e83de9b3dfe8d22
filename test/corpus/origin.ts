/**
 * What an origin makes of what arrives: every octet, and the requests that llhttp, the parser of Node, reads in them,
 * each answered once it is complete.
 */
import type { Socket } from 'bun';
import { readingByLlhttp } from '../../src/wire/http/llhttp.fixture.ts';

interface Request {
  /** `GET / HTTP/1.1`, as it came. */
  line: string;
  /** Names as they came. */
  headers: [name: string, value: string][];
  body: string;
}

export interface Visit {
  address: string;
  port: number;
  /** Latin-1. */
  octets: string;
  requests: Request[];
  /** What the parser did not like; it looks no further. */
  broken: boolean;
  /** Octets behind the last complete request. */
  unfinished: boolean;
  ended: 'closed' | 'reset' | null;
}

export interface Origin {
  visits: Visit[];
  /** What it answers from now on; `{n}` of a stream goes on for ever where `endless` is set. */
  answer: string;
  forget(): void;
  close(): void;
}

/** Ports where nobody speaks HTTP; whatever comes is answered with this word. */
export const HEARD = 'heard';
export const ANSWER = `HTTP/1.1 200 OK\r\nContent-Length: ${HEARD.length}\r\n\r\n${HEARD}`;

/** A parser that fills the visit in, and calls back for each complete request. */
function readerOf(visit: Visit, onRequest: () => void): (bytes: Uint8Array) => void {
  const read = readingByLlhttp('REQUEST', {
    begun: () => {
      visit.unfinished = true;
    },
    complete: ({ method, target, version, headers, body }) => {
      visit.requests.push({ line: `${method} ${target} HTTP/${version}`, headers, body });
      visit.unfinished = false;
      onRequest();
    },
  });
  return (bytes) => {
    if (!read(bytes)) visit.broken = true;
  };
}

/** `speaksHttp`: on these ports requests are read and answered; on others any octets are. */
export function openOrigin(
  addresses: readonly string[],
  ports: readonly number[],
  speaksHttp = [80, 8080],
): Origin {
  const visits: Visit[] = [];
  const origin: Origin = {
    visits,
    answer: ANSWER,
    forget: () => void visits.splice(0),
    close() {
      for (const listener of listeners) listener.stop(true);
    },
  };
  interface Talk {
    visit: Visit;
    read(bytes: Uint8Array): void;
  }
  const listeners = addresses.flatMap((address) =>
    ports.map((port) =>
      Bun.listen<Talk>({
        hostname: address,
        port,
        socket: {
          open(socket: Socket<Talk>) {
            const visit: Visit = {
              ...{ address, port, octets: '', requests: [], broken: false, unfinished: false, ended: null },
            };
            visits.push(visit);
            const read = speaksHttp.includes(port)
              ? readerOf(visit, () => void socket.write(Buffer.from(origin.answer, 'latin1')))
              : () => void socket.write(HEARD);
            socket.data = { visit, read };
          },
          data(socket, bytes) {
            socket.data.visit.octets += bytes.toString('latin1');
            socket.data.read(bytes);
          },
          close(socket, error) {
            socket.data.visit.ended = error === undefined || error === null ? 'closed' : 'reset';
          },
          error() {},
        },
      }),
    ),
  );
  return origin;
}
