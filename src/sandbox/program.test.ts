import { afterAll, beforeAll, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownProgram, systemProgram } from './program.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'clawctl-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a program of the system is found by its real path, whatever PATH says', () => {
  writeFileSync(join(folder, 'cat'), '#!/bin/sh\n', { mode: 0o755 });
  const before = process.env.PATH;
  process.env.PATH = folder;
  const found = systemProgram('cat');
  process.env.PATH = before;
  expect(found).toMatch(/^\/(usr\/)?bin\//);
});

test('one that others than root could replace is not taken', () => {
  writeFileSync(join(folder, 'bwrap'), '#!/bin/sh\n', { mode: 0o755 });
  expect(systemProgram('bwrap', [folder])).toBeNull(); // below a folder that anybody can write
  chmodSync(join(folder, 'bwrap'), 0o777);
  expect(systemProgram('bwrap', [folder])).toBeNull();
});

test('a link leads to what it names', () => {
  symlinkSync('/bin/cat', join(folder, 'linked'));
  expect(systemProgram('linked', [folder])).toBe(systemProgram('cat'));
  expect(systemProgram('nothing', [folder])).toBeNull();
});

test('our own program is started by absolute paths and without what it would read around it', () => {
  const { argv, places } = ownProgram();
  expect(argv[0]).toStartWith('/');
  expect(argv).toContain('--no-env-file');
  expect(argv.at(-1)).toBe('__inner');
  expect(places.every((path) => path.startsWith('/'))).toBe(true);
});
