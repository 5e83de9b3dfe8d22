import { expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kindAt, makeFile, readProc } from './files.ts';

test('tells folders from the rest, through links, and what is not there', () => {
  const folder = mkdtempSync(join(tmpdir(), 'clawctl-files-'));
  const at = (name: string) => kindAt(Buffer.from(join(folder, name)));
  mkdirSync(join(folder, 'folder'));
  writeFileSync(join(folder, 'file'), '');
  symlinkSync('folder', join(folder, 'to-folder'));
  symlinkSync('file', join(folder, 'to-file'));
  symlinkSync('nothing', join(folder, 'to-nothing'));
  symlinkSync('round', join(folder, 'round'));
  expect(['folder', 'to-folder', '.'].map(at)).toEqual(['folder', 'folder', 'folder']);
  expect(['file', 'to-file'].map(at)).toEqual(['other', 'other']);
  expect(['nothing', 'to-nothing', 'nothing/below', 'file/below'].map(at)).toEqual([null, null, null, null]);
  expect(() => at('round')).toThrow('ELOOP');
  rmSync(folder, { recursive: true });
});

test('reads a file of /proc whole, also a long one', () => {
  const maps = readProc('/proc/self/maps')!;
  expect(maps.length).toBeGreaterThan(4096);
  expect(maps.endsWith('\n')).toBe(true);
  expect(readProc('/proc/self/cmdline')).toBe(readFileSync('/proc/self/cmdline', 'latin1'));
  expect(readProc('/proc/0/status')).toBe(null);
});

test('makes a file with the folders on the way, and none in the place of another', () => {
  const folder = mkdtempSync(join(tmpdir(), 'clawctl-files-'));
  const path = join(folder, 'a/b/file');
  const mask = process.umask(0o077);
  makeFile(Buffer.from(path), Buffer.from('content'));
  process.umask(mask);
  expect(readFileSync(path, 'utf8')).toBe('content');
  expect(statSync(path).mode & 0o777).toBe(0o444);
  expect(() => makeFile(Buffer.from(path), Buffer.of())).toThrow('EEXIST');
  expect(() => makeFile(Buffer.from(join(path, 'below')), Buffer.of())).toThrow('ENOTDIR');
  rmSync(folder, { recursive: true });
});
