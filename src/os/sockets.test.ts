import { expect, test } from 'bun:test';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { closeDescriptor, openPipe, socketPair } from './descriptors.ts';
import { libc } from './libc.ts';
import {
  mayBeSocket,
  networkNamespaceOf,
  openDatagram,
  openListener,
  originalDestination,
} from './sockets.ts';

const fdOf = (socket: Socket) => (socket as unknown as { _handle: { fd: number } })._handle.fd;

test('a connection that was not redirected has no other destination than its own', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  const found = originalDestination(fdOf(socket), 4);
  // Where connections are tracked the kernel answers with the address itself; elsewhere it knows nothing.
  if (found !== null) expect(found).toEqual({ address: Uint8Array.of(127, 0, 0, 1), port });
  client.destroy();
  socket.destroy();
  server.close();
});

test('a socket is told from a pipe and from a folder', () => {
  const fds = [...socketPair(), openDatagram('loopback4', 0), ...openPipe(), openSync('/', 'r')];
  expect(fds.map(mayBeSocket)).toEqual([true, true, true, false, false, false]);
  for (const fd of fds) closeDescriptor(fd);
});

test('what does not tell may be a socket: one is reached through a descriptor of its path', () => {
  const O_PATH = 0o10000000;
  const fd = openSync('/', O_PATH);
  expect(mayBeSocket(fd)).toBe(true);
  closeDescriptor(fd);
  expect(mayBeSocket(fd)).toBe(true);
});

test('a listener on every address hears both families', async () => {
  const fd = openListener('any', 0);
  const server = createServer().listen({ fd });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (const host of ['127.0.0.1', '::1']) {
    const client = connect(port, host);
    await once(client, 'connect');
    client.destroy();
  }
  server.close();
});

test('what a listener accepts sends by Reno, whatever the machine prefers', async () => {
  const server = createServer().listen({ fd: openListener('loopback4', 0) });
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [SOL_TCP, TCP_CONGESTION] = [6, 13];
  const name = new Uint8Array(16);
  expect(libc.getsockopt(fdOf(socket), SOL_TCP, TCP_CONGESTION, name, new Uint32Array([16]))).toBe(0);
  expect(Buffer.from(name).toString('latin1')).toStartWith('reno\0');
  client.destroy();
  socket.destroy();
  server.close();
});

test('sockets of one namespace tell the same namespace', () => {
  const places = ['loopback4', 'any4', 'any'] as const;
  const fds = [...places.map((place) => openDatagram(place, 0)), openListener('loopback4', 0)];
  expect(new Set(fds.map(networkNamespaceOf)).size).toBe(1);
  for (const fd of fds) closeDescriptor(fd);
});

test('a port that is taken is an error that names it', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(() => openListener('loopback4', port)).toThrow(`bind (loopback4 port ${port}): EADDRINUSE`);
  server.close();
});

test('nobody can take datagrams that are meant for a socket of ours', async () => {
  const other = createSocket({ type: 'udp4', reuseAddr: true }).bind(0, '127.0.0.1');
  await once(other, 'listening');
  // Both would have to allow it.
  expect(() => openDatagram('loopback4', other.address().port)).toThrow('EADDRINUSE');
  other.close();
});
