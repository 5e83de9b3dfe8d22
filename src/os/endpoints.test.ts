import { afterEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeDescriptor, receiveDescriptors, sendDescriptors } from './descriptors.ts';
import {
  acceptUnix,
  connectUnix,
  isTaken,
  openDnsSockets,
  openSharedListeners,
  openSharedMemory,
  openUnixListener,
  peerOf,
  portOf,
  sendToUnix,
} from './endpoints.ts';

const loopback = { bytes: Uint8Array.of(127, 0, 0, 1), port: 0 };
const folder = mkdtempSync(join(tmpdir(), 'clawctl-sockets-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('several sockets listen on one free port, and nobody else of this user gets in between', () => {
  const fds = openSharedListeners(loopback, 3);
  const ports = fds.map(portOf);
  expect(new Set(ports).size).toBe(1);
  const again = () => openSharedListeners({ ...loopback, port: ports[0]! }, 1);
  expect(again).toThrow('EADDRINUSE');
  try {
    again();
  } catch (error) {
    expect(isTaken(error)).toBe(true);
  }
  for (const fd of fds) closeDescriptor(fd);
});

test('questions have one port over UDP and TCP', () => {
  const fds = openDnsSockets(loopback);
  expect(portOf(fds[0])).toBe(portOf(fds[1]));
  for (const fd of fds) closeDescriptor(fd);
});

test('a UNIX socket tells who has connected, and passes descriptors', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'clawctl-sockets-')), 'socket');
  expect(connectUnix(path, 1_000)).toBeNull();
  const listener = openUnixListener(path);
  expect(acceptUnix(listener, 1_000)).toBeNull();
  const here = connectUnix(path, 1_000)!;
  const there = acceptUnix(listener, 1_000)!;
  expect(peerOf(there)).toEqual({ pid: process.pid, uid: process.getuid!() });
  sendDescriptors(there, [listener], Buffer.of(7));
  const { fds, payload } = receiveDescriptors(here);
  expect([fds.length, [...payload]]).toEqual([1, [7]]);
  for (const fd of [...fds, here, there, listener]) closeDescriptor(fd);
});

test('a path that is too long is an error, not another path', () => {
  expect(() => openUnixListener(`/tmp/${'x'.repeat(120)}`)).toThrow('ENAMETOOLONG');
});

test('nothing happens where nobody takes a datagram', () => {
  sendToUnix('/nonexistent/notify', 'READY=1');
});

test('memory is shared by its descriptor', () => {
  const fd = openSharedMemory('test', 4096);
  const [one, other] = [1, 2].map(() => Bun.mmap(`/proc/self/fd/${fd}`, { shared: true }));
  one![17] = 42;
  expect([other!.length, other![17]]).toEqual([4096, 42]);
  closeDescriptor(fd);
});
