import { afterEach, expect, test } from 'bun:test';
import { createSocket } from 'node:dgram';
import { readFileSync, readlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { decode, encode, type Packet, streamDecode, streamEncode } from 'dns-packet';
import { systemClock } from '../base/clock.ts';
import { openDatagram, openListener } from '../os/sockets.ts';
import { type StubServer, serveStub } from './serve.ts';
import { createStub } from './stub.ts';
import { createSyntheticAddresses } from './synthetic.ts';

let server: StubServer | undefined;
afterEach(() => server?.close());

/** The port that a descriptor is bound to, as the kernel lists it. */
function portOf(fd: number, protocol: 'tcp' | 'udp'): number {
  const inode = /\d+/.exec(readlinkSync(`/proc/self/fd/${fd}`))![0];
  const lines = readFileSync(`/proc/self/net/${protocol}`, 'utf8').split('\n');
  const line = lines.map((text) => text.trim().split(/\s+/)).find((columns) => columns[9] === inode)!;
  return Number.parseInt(line[1]!.split(':')[1]!, 16);
}

/** Nothing but what a test is about ends a connection while it runs. */
const PATIENT = 60_000;

async function start(limits = { silence: PATIENT, connections: 8 }) {
  const synthetic = createSyntheticAddresses({ clock: systemClock });
  const stub = createStub({ synthetic, onQuestion() {}, onExhausted() {} });
  const udp = openDatagram('loopback4', 0);
  const tcp = openListener('loopback4', 0);
  const ports = { udp: portOf(udp, 'udp'), tcp: portOf(tcp, 'tcp') };
  server = await serveStub(stub, { dnsUdp: [udp], dnsTcp: [tcp] }, limits);
  return ports;
}

const question = (id: number, name = 'a.example'): Packet => ({
  type: 'query',
  id,
  questions: [{ name, type: 'A' }],
});

function converse(port: number): Promise<{ socket: Socket; received: Buffer[]; ended: Promise<void> }> {
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () =>
      resolve({ socket, received, ended }),
    );
    const ended = new Promise<void>((done) => {
      socket.on('data', (bytes: Buffer) => received.push(bytes));
      socket
        .on('error', () => {})
        .on('end', done)
        .on('close', () => done());
    });
  });
}

/** The ids answered in a stream of length-prefixed messages. */
function idsIn(received: Buffer[]): number[] {
  const bytes = Buffer.concat(received);
  const ids: number[] = [];
  for (let at = 0; at + 2 <= bytes.length; at += 2 + bytes.readUInt16BE(at))
    ids.push(bytes.readUInt16BE(at + 2));
  return ids;
}

test('a question over UDP is answered, noise is not', async () => {
  const { udp } = await start();
  const client = createSocket('udp4');
  const answer = new Promise<Buffer>((resolve) => client.once('message', resolve));
  client.send(Buffer.of(1, 2, 3), udp, '127.0.0.1');
  client.send(encode(question(5)), udp, '127.0.0.1');
  expect(decode(await answer)).toMatchObject({ id: 5, answers: [{ data: '198.18.0.1' }] });
  client.close();
});

test('a question over TCP is answered however its bytes come', async () => {
  const { tcp } = await start();
  const { socket, received } = await converse(tcp);
  socket.setNoDelay(true);
  const arrived = new Promise((resolve) => socket.once('data', resolve));
  for (const octet of streamEncode(question(6))) socket.write(Buffer.of(octet));
  await arrived;
  expect(streamDecode(Buffer.concat(received))).toMatchObject({ id: 6, answers: [{ data: '198.18.0.1' }] });
  socket.destroy();
});

test('pipelined questions are answered in order, also to who ends first', async () => {
  const { tcp } = await start();
  const { socket, received, ended } = await converse(tcp);
  const ids = Array.from({ length: 300 }, (_, i) => i);
  socket.end(Buffer.concat(ids.map((id) => streamEncode(question(id, `n${id}.example`)))));
  await ended;
  expect(idsIn(received)).toEqual(ids);
});

test('one octet and then silence ends the connection', async () => {
  const { tcp } = await start({ silence: 100, connections: 8 });
  const { socket, ended } = await converse(tcp);
  socket.write(Buffer.of(0));
  await ended;
});

test('an octet now and then does not keep a connection open', async () => {
  const { tcp } = await start({ silence: 200, connections: 8 });
  const { socket, ended } = await converse(tcp);
  const timer = setInterval(() => socket.write(Buffer.of(0x0f)), 40);
  await ended;
  clearInterval(timer);
});

test('a length that no question has, or bytes that are none, end the connection', async () => {
  const { tcp } = await start();
  for (const bytes of [Buffer.of(0xff, 0xff), Buffer.of(0, 0), Buffer.of(0, 3, 1, 2, 3)]) {
    const { socket, received, ended } = await converse(tcp);
    socket.write(bytes);
    await ended;
    expect(received).toEqual([]);
  }
});

test('connections are bounded, and ended ones make room', async () => {
  const { tcp } = await start({ silence: PATIENT, connections: 2 });
  const first = await converse(tcp);
  const second = await converse(tcp);
  const third = await converse(tcp);
  await third.ended;
  first.socket.destroy();
  for (;;) {
    const next = await converse(tcp);
    next.socket.end(streamEncode(question(8)));
    await next.ended;
    if (idsIn(next.received).length === 1) break;
  }
  second.socket.destroy();
});
