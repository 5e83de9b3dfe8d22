import { expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kindAt, readProc } from './files.ts';

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
