/** The load that proxies are measured with, and the origin behind them; client and proxy on loopback. */

export interface Place {
  proxyPort: number;
  /** `name:port` as this proxy has to be asked for the origin. */
  target: string;
}

type Octets = Uint8Array;

/** What an origin is told by the first octet of a connection; none of them is text. */
const ECHO = 0;
const FLOOD = 1;
export const MEGABYTE = 2 ** 20;
const WORD = new Uint8Array(256);
const BLOCK = new Uint8Array(1 << 18);
const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');

interface Sending {
  left: number;
  mode: 'http' | 'echo' | null;
}

/** HTTP with a short answer, an echo, or as many megabytes as four octets say. On one port of two addresses. */
function serveOrigin(): number {
  const send = (socket: Bun.Socket<Sending>) => {
    while (socket.data.left > 0) {
      const part = BLOCK.subarray(0, Math.min(BLOCK.length, socket.data.left));
      const taken = socket.write(part);
      if (taken <= 0) return;
      socket.data.left -= taken;
      if (taken < part.length) return;
    }
  };
  const serve = (hostname: string, port: number) =>
    Bun.listen<Sending>({
      hostname,
      port,
      socket: {
        open(socket) {
          socket.data = { left: 0, mode: null };
        },
        data(socket, bytes) {
          const { data } = socket;
          if (data.mode === null) {
            data.mode = bytes[0] === ECHO ? 'echo' : 'http';
            if (bytes[0] === FLOOD) {
              data.left = bytes.readUInt32BE(1) * MEGABYTE;
              send(socket);
              return;
            }
          }
          socket.write(data.mode === 'echo' ? bytes : ANSWER);
        },
        drain: send,
      },
    }).port;
  return serve('127.0.0.2', serve('127.0.0.1', 0));
}

/** The same in a process of its own. */
export async function startOrigin(): Promise<{ port: number; stop(): void }> {
  const child = Bun.spawn([process.execPath, import.meta.path, 'origin'], { stdout: 'pipe' });
  const { value } = await child.stdout.getReader().read();
  return { port: Number(new TextDecoder().decode(value)), stop: () => child.kill() };
}

/** Connects; `onData` says when it has had enough. Resolves once the connection has ended. */
function converse(
  port: number,
  first: Octets,
  onData: (socket: Bun.Socket<undefined>, bytes: Buffer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open: (socket) => void socket.write(first),
        data: onData,
        close: () => resolve(),
        error: (_, error) => reject(error),
      },
    }).catch(reject);
  });
}

const connectHead = (target: string) => Buffer.from(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
const wasGranted = (bytes: Buffer) => bytes.length > 12 && bytes[9] === 0x32;

/** One tunnel: a word there and back, and its end. */
async function tunnel({ proxyPort, target }: Place): Promise<void> {
  let open = false;
  let had = 0;
  await converse(proxyPort, connectHead(target), (socket, bytes) => {
    if (!open) {
      if (!wasGranted(bytes)) throw new Error(`no tunnel: ${bytes.toString('latin1').slice(0, 80)}`);
      open = true;
      socket.write(WORD);
      return;
    }
    had += bytes.length;
    if (had >= WORD.length) socket.end();
  });
  if (had < WORD.length) throw new Error('a tunnel ended too early');
}

/** One CONNECT to what no rule allows. */
async function refusal({ proxyPort }: Place): Promise<void> {
  let refused = false;
  await converse(proxyPort, connectHead('denied.test:443'), (socket, bytes) => {
    refused ||=
      bytes.toString('latin1').startsWith('HTTP/1.1 403') || bytes.toString('latin1').includes(' 403 ');
    socket.end();
  });
  if (!refused) throw new Error('it was not refused');
}

/** So many of them at once, for so many milliseconds; how many there were. */
async function repeat(one: () => Promise<void>, milliseconds: number, parallel: number): Promise<number> {
  const end = performance.now() + milliseconds;
  let count = 0;
  const worker = async () => {
    for (; performance.now() < end; count++) await one();
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return count;
}

/** Kept connections, one request after the other on each. */
async function requests(
  { proxyPort, target }: Place,
  milliseconds: number,
  parallel: number,
): Promise<number> {
  const question = Buffer.from(`GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  const end = performance.now() + milliseconds;
  let count = 0;
  const one = () => {
    // Heads of proxies differ, and may come apart from their bodies: an answer ends with its body.
    return converse(proxyPort, question, (socket, bytes) => {
      if (!bytes.toString('latin1').endsWith('ok')) {
        if (bytes[9] === 0x34) throw new Error(bytes.toString('latin1').slice(0, 80));
        return;
      }
      count++;
      if (performance.now() < end) socket.write(question);
      else socket.end();
    });
  };
  await Promise.all(Array.from({ length: parallel }, one));
  return count;
}

/** So many megabytes by one stream of several. */
async function download({ proxyPort, target }: Place, megabytes: number): Promise<void> {
  const wanted = megabytes * MEGABYTE;
  const order = Buffer.alloc(5);
  order[0] = FLOOD;
  order.writeUInt32BE(megabytes, 1);
  let open = false;
  let had = 0;
  await converse(proxyPort, connectHead(target), (socket, bytes) => {
    if (!open) {
      open = true;
      socket.write(order);
      return;
    }
    had += bytes.length;
    if (had >= wanted) socket.end();
  });
  if (had !== wanted) throw new Error(`${had} of ${wanted} octets came`);
}

/** Milliseconds of single round trips: connecting and a word, or a request on a kept connection. */
async function latencies(place: Place, count: number, direct: boolean): Promise<number[]> {
  const took: number[] = [];
  for (let i = 0; i < count; i++) {
    const started = performance.now();
    if (!direct) await tunnel(place);
    else
      await converse(place.proxyPort, WORD, (socket) => {
        socket.end();
      });
    took.push(performance.now() - started);
  }
  return took;
}

/** Tunnels in which nothing is said; `leave` ends them. */
async function stand({ proxyPort, target }: Place, count: number): Promise<{ leave(): void }> {
  const sockets: Bun.Socket<undefined>[] = [];
  let begun = 0;
  const one = () =>
    new Promise<void>((resolve, reject) => {
      Bun.connect({
        hostname: '127.0.0.1',
        port: proxyPort,
        socket: {
          open: (socket) => void socket.write(connectHead(target)),
          data(socket, bytes) {
            if (!wasGranted(bytes)) reject(new Error(bytes.toString('latin1').slice(0, 80)));
            sockets.push(socket);
            resolve();
          },
          error: (_, error) => reject(error),
        },
      }).catch(reject);
    });
  const worker = async () => {
    while (begun < count) {
      begun++;
      await one();
    }
  };
  await Promise.all(Array.from({ length: 50 }, worker));
  return {
    leave() {
      for (const socket of sockets) socket.terminate();
    },
  };
}

const PARALLEL = 16;

/** Each resolves to how many there were in so many milliseconds. */
export const load = {
  tunnels: (place: Place, milliseconds: number) => repeat(() => tunnel(place), milliseconds, PARALLEL),
  refusals: (place: Place, milliseconds: number) => repeat(() => refusal(place), milliseconds, PARALLEL),
  requests: (place: Place, milliseconds: number) => requests(place, milliseconds, PARALLEL),
  download,
  latencies,
  stand,
};

if (import.meta.main && process.argv[2] === 'origin') console.log(serveOrigin());
