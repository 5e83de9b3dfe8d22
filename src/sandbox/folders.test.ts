import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wayTo } from './folders.ts';

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'clawctl-test-')));
  mkdirSync(at('real/deep'), { recursive: true });
  symlinkSync('real', at('link'));
  symlinkSync(at('link/deep'), at('second'));
  symlinkSync('../nowhere/file', at('real/dangling'));
  symlinkSync('loop', at('loop'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('every link on the way is told, and where it ends', () => {
  expect(wayTo(at('second/file'))).toEqual({ end: at('real/deep/file'), links: [at('second'), at('link')] });
  expect(wayTo(at('real/deep'))).toEqual({ end: at('real/deep'), links: [] });
});

test('a link to what is not there yet leads to where it will be', () => {
  expect(wayTo(at('link/dangling'))).toEqual({
    end: at('nowhere/file'),
    links: [at('link'), at('real/dangling')],
  });
});

test('a link to itself ends', () => {
  expect(wayTo(at('loop')).end).toBe(at('loop'));
});
