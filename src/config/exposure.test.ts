import { afterAll, expect, test } from 'bun:test';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keysForEverybody, writableByOthers } from './exposure.ts';

const folder = mkdtempSync(join(tmpdir(), 'clawctl-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'file');
writeFileSync(file, '');
const named = (found: readonly { message: string }[]) => found.length;

test('a file is named that everybody may write, or everybody may read a key', () => {
  for (const [mode, writable, readable] of [
    [0o600, 0, 0],
    [0o644, 0, 1],
    [0o640, 0, 0],
    [0o602, 1, 1],
    [0o666, 1, 1],
  ] as const) {
    chmodSync(file, mode);
    expect([mode, named(writableByOthers([file])), named(keysForEverybody([file]))]).toEqual([
      mode,
      writable,
      readable,
    ]);
  }
  expect(writableByOthers([join(folder, 'nowhere'), '/dev/null/x'])).toEqual([]);
});

test.skipIf(process.getuid?.() !== 0)('a group counts unless it is its owner’s own', () => {
  for (const [gid, count] of [
    [1_234, 0],
    [1_235, 1],
  ] as const) {
    chownSync(file, 1_234, gid);
    chmodSync(file, 0o664);
    expect(named(writableByOthers([file]))).toBe(count);
  }
});
