import { expect, test } from 'bun:test';
import { fstatSync, readdirSync, readSync, writeSync } from 'node:fs';
import {
  closeDescriptor,
  memoryFile,
  openPipe,
  receiveDescriptors,
  receiveExactly,
  sendDescriptors,
  socketPair,
} from './descriptors.ts';
import { OsError } from './libc.ts';

test('descriptors arrive with the bytes and the sender', () => {
  const [ours, theirs] = socketPair(1000);
  const [reading, writing] = openPipe();
  sendDescriptors(theirs, [reading, writing], Buffer.from('hello'));
  const { fds, payload, pid } = receiveDescriptors(ours);
  expect(Buffer.from(payload).toString()).toBe('hello');
  expect(pid).toBe(process.pid);
  expect(fds).toHaveLength(2);
  writeSync(fds[1]!, 'through');
  const bytes = Buffer.alloc(7);
  readSync(reading, bytes);
  expect(bytes.toString()).toBe('through');
  for (const fd of [ours, theirs, reading, writing, ...fds]) closeDescriptor(fd);
});

test('a message longer than the socket holds arrives whole', async () => {
  const [ours, theirs] = socketPair(5000);
  const long = Buffer.alloc(3_000_000, 'x');
  // The other side has to read meanwhile: another process does.
  const reader = Bun.spawn(['sh', '-c', 'head -c 3000000 <&3 | wc -c'], {
    stdio: ['ignore', 'pipe', 'inherit', ours],
  } as never);
  closeDescriptor(ours);
  sendDescriptors(theirs, [], long);
  expect((await new Response(reader.stdout as ReadableStream).text()).trim()).toBe('3000000');
  closeDescriptor(theirs);
});

test('nothing received after the other side has closed is the end of file', () => {
  const [ours, theirs] = socketPair();
  closeDescriptor(theirs);
  expect(receiveDescriptors(ours)).toEqual({ fds: [], payload: Buffer.alloc(0), pid: 0 });
  expect(() => receiveExactly(ours, 1)).toThrow('after 0 of 1 bytes');
  expect(() => sendDescriptors(ours, [], Buffer.of(1))).toThrow(expect.objectContaining({ code: 'EPIPE' }));
  closeDescriptor(ours);
});

test('a read gives up after the time limit', () => {
  const [ours, theirs] = socketPair(20);
  expect(() => receiveDescriptors(ours)).toThrow(
    expect.objectContaining({ code: 'EAGAIN', call: 'recvmsg' }),
  );
  closeDescriptor(ours);
  closeDescriptor(theirs);
});

test('more descriptors than a message of ours has are refused, and none stays open', () => {
  const [ours, theirs] = socketPair(1000);
  const pipe = openPipe();
  const openNow = () => readdirSync('/proc/self/fd').length;
  const before = openNow();
  sendDescriptors(theirs, Array(40).fill(pipe[0]), Buffer.of(1));
  expect(() => receiveDescriptors(ours)).toThrow('more descriptors');
  expect(openNow()).toBe(before);
  for (const fd of [ours, theirs, ...pipe]) closeDescriptor(fd);
});

test('a file in memory is read from its start', () => {
  const fd = memoryFile('test', Buffer.from('content'));
  const bytes = Buffer.alloc(7);
  readSync(fd, bytes);
  expect(bytes.toString()).toBe('content');
  closeDescriptor(fd);
  expect(() => fstatSync(fd)).toThrow();
});

test('an error names the call and the error', () => {
  try {
    closeDescriptor(-1);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(OsError);
    expect((error as OsError).message).toBe('close: EBADF');
  }
});
