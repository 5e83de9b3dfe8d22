/**
 * Tunnels in which nothing is said, in a process of their own: its descriptors are limited as those of the gateway
 * are. `client PROXY_PORT ECHO_PORT COUNT` opens them and prints how many stand; for each line on its stdin it says a
 * word in every one of them, and prints how many were answered. `origin` answers, and prints its port.
 */
const [role, proxy, echo, wanted] = process.argv.slice(2);

interface Tunnel {
  stage: 'asked' | 'open' | 'closed';
  answered: boolean;
}

const HOST = 'origin.test';
const AT_ONCE = 200;
/** Not text, so nobody takes it for HTTP. */
const WORD = Buffer.of(0, 1, 2, 3);

function serve(): void {
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: { data: (socket, bytes) => void socket.write(bytes) },
  });
  console.log(listener.port);
}

async function open(port: number, target: string, count: number): Promise<void> {
  const standing = new Set<Bun.Socket<Tunnel>>();
  const one = () =>
    new Promise<void>((resolve) => {
      void Bun.connect<Tunnel>({
        hostname: '127.0.0.1',
        port,
        socket: {
          open(socket) {
            socket.data = { stage: 'asked', answered: false };
            socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
          },
          data(socket, bytes) {
            if (socket.data.stage === 'open') socket.data.answered = true;
            else if (bytes.toString('latin1').startsWith('HTTP/1.1 200')) {
              socket.data.stage = 'open';
              standing.add(socket);
            } else socket.end();
            resolve();
          },
          close(socket) {
            standing.delete(socket);
            resolve();
          },
          error() {},
        },
      }).catch(() => resolve());
    });
  let begun = 0;
  const worker = async () => {
    while (begun < count) {
      begun++;
      await one();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  console.log(standing.size);
  for await (const _ of console) {
    for (const socket of standing) {
      socket.data.answered = false;
      socket.write(WORD);
    }
    const answered = () => [...standing].filter(({ data }) => data.answered).length;
    for (const end = performance.now() + 20_000; performance.now() < end && answered() < standing.size; )
      await Bun.sleep(20);
    console.log(answered());
  }
  process.exit(0);
}

if (role === 'origin') serve();
else void open(Number(proxy), `${HOST}:${echo}`, Number(wanted));

export {};
