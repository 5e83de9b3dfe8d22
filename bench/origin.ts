/**
 * A fast HTTP origin in a process of its own: `/bytes/N` sends N zero octets, anything else a short answer, and closes
 * where it was asked to. With a certificate and its key (paths) it speaks TLS.
 */
const [address = '127.0.0.1', port = '80', certificate, key] = process.argv.slice(2);
const BLOCK = Buffer.alloc(1 << 20);
const SHORT = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

interface Sending {
  left: number;
}

function send(socket: Bun.Socket<Sending>): void {
  while (socket.data.left > 0) {
    const written = socket.write(BLOCK.subarray(0, Math.min(BLOCK.length, socket.data.left)));
    if (written <= 0) return;
    socket.data.left -= written;
    if (written < BLOCK.length) return;
  }
}

Bun.listen<Sending>({
  hostname: address,
  port: Number(port),
  ...(certificate !== undefined && { tls: { cert: Bun.file(certificate), key: Bun.file(key!) } }),
  socket: {
    open(socket) {
      socket.data = { left: 0 };
    },
    data(socket, bytes) {
      const head = bytes.toString('latin1');
      const count = /^GET \/bytes\/(\d+) /.exec(head)?.[1];
      if (count === undefined) {
        if (head.includes('Connection: close')) socket.end(SHORT);
        else socket.write(SHORT);
        return;
      }
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${count}\r\n\r\n`);
      socket.data.left = Number(count);
      send(socket);
    },
    drain: send,
  },
});
console.log('ready');
