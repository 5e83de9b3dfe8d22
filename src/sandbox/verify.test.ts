import { expect, test } from 'bun:test';
import { closeDescriptor } from '../os/descriptors.ts';
import { openDatagram } from '../os/sockets.ts';
import { openCanaries } from './canary.ts';
import { checkProcesses, checkSockets, powerLeft } from './verify.ts';

test('a process without a fence is found out', () => {
  expect(() => checkProcesses(process.pid)).toThrow('did not hold');
});

const POWERLESS = { capEff: 0n, capPrm: 0n, capInh: 0n, capAmb: 0n, noNewPrivs: true, seccomp: 2 };
test('a process that can do nothing is let through', () => expect(powerLeft(POWERLESS)).toBeNull());
test.each([
  ...(['capEff', 'capPrm', 'capInh', 'capAmb'] as const).map(
    (set) => [{ [set]: 1n << 21n }, 'capability'] as const,
  ),
  [{ noNewPrivs: false }, 'privileges'],
  [{ seccomp: 0 }, 'filter'],
  [{ seccomp: 1 }, 'filter'],
] as const)('a process with %p is found out', (change, word) => {
  expect(powerLeft({ ...POWERLESS, ...change })).toContain(word);
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
