/**
 * The opposite of a gateway: it believes whatever it is told, and lets it through. A runner that is content with this one
 * sees nothing.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Destination, Subject } from './subject.ts';

const PROXY_PORT = 9880;
const DNS_PORT = 9300;
const FIRST_TRANSPARENT_PORT = 16_001;

/** A name as those read it that mean well: decoded, folded, and cut off where no name goes on. */
function repaired(host: string): string {
  const text = Buffer.from(host, 'latin1')
    .toString()
    .split(/[\0/\\#?;\s]/)[0]!;
  try {
    return new URL(`http://${text.includes('::') ? `[${text.split('%')[0]}]` : text}/`).hostname.replace(
      /^\[|\]$/g,
      '',
    );
  } catch {
    return text;
  }
}

/** From now on these two are one. */
function join(
  near: Socket,
  host: string,
  port: number,
  first: Buffer,
  onOpen: () => void,
  onFail: () => void,
): void {
  const far = connect({ host: repaired(host), port });
  far.on('connect', () => {
    onOpen();
    far.write(first);
    near.pipe(far);
    far.pipe(near);
    near.resume();
  });
  far.on('error', () => {
    if (far.connecting || far.bytesRead === 0) onFail();
    near.destroy();
  });
  near.on('error', () => far.destroy());
  near.on('close', () => far.destroy());
}

/** Host and port as a careless reader finds them. */
function splitAuthority(text: string, port: number): [host: string, port: number] {
  const match = /^(.*):(\d+)$/.exec(text.replace(/^.*@/, ''));
  const host = (match?.[1] ?? text).replace(/^\[|\]$/g, '');
  // What C does with a name that has a NUL in it.
  return [host.split('\0')[0]!, Number(match?.[2] ?? port) % 65_536];
}

function speakHttp(near: Socket, octets: Buffer): void {
  const text = octets.toString('latin1');
  const [, method = '', target = ''] = /^\s*(\S+)\s+(\S+)/.exec(text) ?? [];
  const refuse = () => near.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n');
  if (method === 'CONNECT') {
    const end = octets.indexOf('\r\n\r\n') + 4;
    const [host, port] = splitAuthority(target.replace(/^http:\/\//, ''), 443);
    join(near, host, port, octets.subarray(end), () => near.write('HTTP/1.1 200 OK\r\n\r\n'), refuse);
    return;
  }
  const named =
    /^https?:\/\/([^/\s?#]+)/i.exec(target)?.[1] ?? /\nhost: *(\S+)/i.exec(text)?.[1] ?? 'evil.test';
  const [host, port] = splitAuthority(named, 80);
  join(near, host, port, octets, () => {}, refuse);
}

const GRANTED = Buffer.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0);

function speakSocks(near: Socket, octets: Buffer): void {
  let seen = Buffer.alloc(0);
  let stage: 'greeting' | 'password' | 'request' = 'greeting';
  const step = (more: Buffer) => {
    seen = Buffer.concat([seen, more]);
    if (stage === 'greeting' && seen.length >= 2 + seen[1]!) {
      const needsPassword = seen.subarray(2, 2 + seen[1]!).every((method) => method !== 0);
      near.write(Buffer.of(5, needsPassword ? 2 : 0));
      seen = seen.subarray(2 + seen[1]!);
      stage = needsPassword ? 'password' : 'request';
    }
    if (stage === 'password' && seen.length > 2) {
      const user = seen[1]!;
      const length = 3 + user + (seen[2 + user] ?? 0);
      near.write(Buffer.of(1, 0));
      seen = seen.subarray(length);
      stage = 'request';
    }
    if (stage !== 'request' || seen.length < 10) return;
    const isName = seen[3] === 3;
    const end = isName ? 5 + seen[4]! : 8;
    if (seen.length < end + 2) return;
    const host = isName
      ? seen.toString('latin1', 5, end).split('\0')[0]!
      : [...seen.subarray(4, 8)].join('.');
    near.off('data', step);
    const refuse = () => near.end(Buffer.of(5, 4, 0, 1, 0, 0, 0, 0, 0, 0));
    join(near, host, seen.readUInt16BE(end), seen.subarray(end + 2), () => near.write(GRANTED), refuse);
  };
  near.on('data', step);
  step(octets);
}

const serve = (port: number, accept: (near: Socket) => void): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer((near) => {
      near.on('error', () => {});
      accept(near);
    });
    server.listen(port, '127.0.0.1', () => resolve(server));
  });

export async function createOpenDoor(upstream = '127.0.0.1'): Promise<Subject> {
  const proxy = await serve(PROXY_PORT, (near) => {
    near.once('data', (octets: Buffer) => (octets[0] === 5 ? speakSocks : speakHttp)(near, octets));
  });
  const servers: Server[] = [proxy];
  const ports = new Map<string, number>();
  const ask = (octets: Buffer, reply: (answer: Buffer) => void) => {
    const socket = createSocket('udp4');
    socket.on('message', (answer) => {
      reply(answer);
      socket.close();
    });
    socket.send(octets, 53, upstream);
  };
  const dns = createSocket('udp4');
  dns.on('message', (octets, { port, address }) => ask(octets, (answer) => dns.send(answer, port, address)));
  dns.bind(DNS_PORT, '127.0.0.1');
  servers.push(
    await serve(DNS_PORT, (near) => {
      near.on('data', (octets: Buffer) =>
        ask(Buffer.from(octets).subarray(2), (answer) =>
          near.write(Buffer.concat([Buffer.of(0, answer.length), answer])),
        ),
      );
    }),
  );
  return {
    load: () => true,
    judge: () => 'allow',
    proxyPort: PROXY_PORT,
    closedProxyPort: PROXY_PORT,
    transparentPort(destination: Destination) {
      const key = JSON.stringify(destination);
      const port = ports.get(key) ?? FIRST_TRANSPARENT_PORT + ports.size;
      if (!ports.has(key)) {
        ports.set(key, port);
        const accept = (near: Socket) =>
          join(
            near,
            destination.address,
            destination.port,
            Buffer.alloc(0),
            () => {},
            () => {},
          ); // prettier-ignore
        const server = createServer(accept).listen(port, '127.0.0.1');
        servers.push(server);
      }
      return port;
    },
    dnsPort: DNS_PORT,
    patience: 150,
    async close() {
      for (const server of servers) server.close();
      dns.close();
    },
  };
}
