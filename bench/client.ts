/**
 * Load from inside a fence (or without one): `requests HOST SECONDS PARALLEL` opens a new connection for every
 * request, `keepalive …` sends them all on PARALLEL connections. Prints requests per second.
 *
 * New connections are closed by the origin first. Whoever closes first keeps the address and port of the connection
 * for a minute (TIME_WAIT); on the client's side, thousands a second would use up all ports within seconds.
 */
const [mode, host, seconds = '2', parallel = '16'] = process.argv.slice(2);
const keepAlive = mode === 'keepalive';
const QUESTION = `GET / HTTP/1.1\r\nHost: ${host}\r\n${keepAlive ? '' : 'Connection: close\r\n'}\r\n`;
const end = performance.now() + Number(seconds) * 1000;
let done = 0;

function oneConnection(): Promise<void> {
  return new Promise((finish) => {
    void Bun.connect({
      hostname: host!,
      port: 80,
      socket: {
        open: (socket) => void socket.write(QUESTION),
        data(socket) {
          done += 1;
          if (!keepAlive) return;
          if (performance.now() < end) socket.write(QUESTION);
          else socket.end();
        },
        close: () => finish(),
        error: () => finish(),
        connectError: () => finish(),
      },
    }).catch(() => finish());
  });
}

async function worker(): Promise<void> {
  while (performance.now() < end) await oneConnection();
}

const started = performance.now();
await Promise.all(Array.from({ length: Number(parallel) }, worker));
console.log(Math.round((done * 1000) / (performance.now() - started)));

export {};
