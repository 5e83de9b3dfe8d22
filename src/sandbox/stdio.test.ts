import { expect, test } from 'bun:test';
import { closeSync, openSync } from 'node:fs';
import { closeDescriptor, openPipe, socketPair } from '../os/descriptors.ts';
import { kindOf } from './stdio.ts';

test('a pipe and the null device are passed on', () => {
  const [reader, writer] = openPipe();
  const nothing = openSync('/dev/null', 'r');
  expect([reader, writer, nothing].map(kindOf)).toEqual(['passed', 'passed', 'passed']);
  for (const fd of [reader, writer, nothing]) closeSync(fd);
});

test('a socket, a file, a folder and any other device stay outside and are copied', () => {
  const [one, other] = socketPair();
  const files = ['/etc/hosts', '/etc', '/dev/zero'].map((path) => openSync(path, 'r'));
  expect([one, other, ...files].map(kindOf)).toEqual(Array(5).fill('copied'));
  for (const fd of [one, other, ...files]) closeDescriptor(fd);
});

test('what is closed is known as closed', () => {
  expect(kindOf(9_999)).toBe('closed');
});
