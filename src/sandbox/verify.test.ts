import { expect, test } from 'bun:test';
import { closeDescriptor } from '../os/descriptors.ts';
import { openDatagram } from '../os/sockets.ts';
import { openCanaries } from './canary.ts';
import { checkProcesses, checkSockets } from './verify.ts';

test('a process without a fence is found out', () => {
  expect(() => checkProcesses(process.pid)).toThrow('did not hold');
});

test('a socket of our own network is found out', () => {
  const socket = openDatagram('loopback4', 0);
  expect(() => checkSockets([socket], process.pid)).toThrow('our own network');
  closeDescriptor(socket);
});

test('a canary tells when somebody came, by TCP or by UDP', async () => {
  const quiet = openCanaries();
  expect(await quiet.visited()).toBe(false);
  quiet.close();
  for (const protocol of ['tcp', 'udp']) {
    const canaries = openCanaries();
    const port = canaries.list.flatMap((canary) => (canary.kind === 'loopback' ? [canary.port] : []))[0]!;
    Bun.spawnSync(['bash', '-c', `echo > /dev/${protocol}/127.0.0.1/${port}`]);
    expect(await canaries.visited()).toBe(true);
    canaries.close();
  }
});
