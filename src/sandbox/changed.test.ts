import { afterEach, beforeEach, expect, test } from 'bun:test';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { changedTools, snapshotTools } from './changed.ts';

let root: string;
const write = (name: string, text = 'x') => {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), text);
};
const changedBy = (change: () => void) => {
  const before = snapshotTools([root]);
  change();
  return changedTools(before, snapshotTools([root], 'after'), [root]);
};
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'clawctl-test-'));
});
afterEach(() => rmSync(root, { recursive: true }));

test.each([
  ...[
    '.git/config',
    '.git/hooks/pre-commit',
    '.envrc',
    '.env',
    'package.json',
    'bunfig.toml',
    '.vscode/tasks.json',
  ],
  ...[
    '.github/workflows/build.yml',
    'packages/one/package.json',
    '.husky/pre-push',
    'Makefile',
    '.claude/settings.json',
  ],
])('%s is told when it was made', (name) => {
  expect(changedBy(() => write(name))).toEqual([name]);
});

test.each(['src/main.c', 'README.md', '.git/objects/ab/cd', '.git/index', 'node_modules/x/package.json'])(
  '%s is not',
  (name) => {
    expect(changedBy(() => write(name))).toEqual([]);
  },
);

test('a change is seen although size and times stay', () => {
  write('package.json', 'one');
  utimesSync(join(root, 'package.json'), 1, 1);
  const change = () => {
    write('package.json', 'two');
    utimesSync(join(root, 'package.json'), 1, 1);
  };
  expect(changedBy(change)).toEqual(['package.json']);
  write('Makefile', 'x'.repeat(100_000));
  expect(changedBy(() => write('Makefile', 'y'.repeat(100_000)))).toEqual(['Makefile']);
});

test('so is a mode, a removal and a link in its place, and the same content written again is none', () => {
  write('.git/hooks/pre-commit');
  expect(changedBy(() => write('.git/hooks/pre-commit'))).toEqual([]);
  expect(changedBy(() => chmodSync(join(root, '.git/hooks/pre-commit'), 0o755))).toEqual([
    '.git/hooks/pre-commit',
  ]);
  expect(changedBy(() => rmSync(join(root, '.git/hooks/pre-commit')))).toEqual(['.git/hooks/pre-commit']);
  expect(changedBy(() => symlinkSync('/dev/zero', join(root, '.env')))).toEqual(['.env']);
});

test('a hook is told however many folders are made beside it', () => {
  write('.git/config');
  const change = () => {
    for (let each = 0; each < 2_100; each++) mkdirSync(join(root, `a${each}`));
    write('.git/hooks/post-checkout');
  };
  expect(changedBy(change)).toEqual(['.git/hooks/post-checkout']);
});

test('in a large workspace a change is told where nobody looked before, and only that', () => {
  for (let each = 0; each < 300; each++) write(`a${each}/package.json`);
  utimesSync(join(root, 'a1'), 1, 1);
  Bun.sleepSync(50);
  const change = () => {
    for (let each = 0; each < 300; each++) write(`a${each}/.envrc`);
  };
  const changed = changedBy(change);
  expect(changed).toHaveLength(300);
  expect(changed.every((path) => path.endsWith('.envrc'))).toBe(true);
});

test('links and files in the place of folders are told, and what git takes for a repository', () => {
  const change = () => {
    for (const name of ['.git', '.vscode']) symlinkSync('elsewhere', join(root, name));
    write('one/.git', 'gitdir: ../two');
    write('two/HEAD', 'ref: refs/heads/main');
  };
  expect(changedBy(change)).toEqual(['.git', '.vscode', 'one/.git', 'two/HEAD']);
});
