/**
 * Files in a workspace that people and tools outside execute or obey without being asked. Those that a command has
 * changed are worth a look before anything runs there. Compared by content where they are small; by the kernel's
 * own time of change, which nobody can set, where they are large.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join, relative } from 'node:path';

const NAMES = new Set([
  ...['.envrc', '.env', '.env.local', 'bunfig.toml', '.npmrc', '.yarnrc', '.yarnrc.yml', '.pnpmfile.cjs'],
  ...[
    'package.json',
    'Makefile',
    'makefile',
    'GNUmakefile',
    'justfile',
    'Justfile',
    'Taskfile.yml',
    'Rakefile',
  ],
  ...['setup.py', 'setup.cfg', 'pyproject.toml', 'conftest.py', 'noxfile.py', 'tox.ini', 'sitecustomize.py'],
  ...[
    'build.rs',
    'Cargo.toml',
    'build.gradle',
    'settings.gradle',
    'gradlew',
    'mvnw',
    'CMakeLists.txt',
    'configure',
  ],
  ...[
    '.pre-commit-config.yaml',
    'lefthook.yml',
    '.gitmodules',
    '.gitattributes',
    '.gitlab-ci.yml',
    'Jenkinsfile',
  ],
  ...[
    'Dockerfile',
    'docker-compose.yml',
    'compose.yaml',
    'Vagrantfile',
    '.mise.toml',
    'mise.toml',
    '.tool-versions',
  ],
  ...[
    '.mcp.json',
    '.gdbinit',
    '.lldbinit',
    '.vimrc',
    '.exrc',
    '.nvim.lua',
    '.dir-locals.el',
    '.editorconfig',
  ],
]);
/** Folders of which every file counts. */
const FOLDERS = new Set([
  'hooks',
  '.husky',
  '.vscode',
  '.idea',
  '.devcontainer',
  '.cargo',
  '.claude',
  '.cursor',
  '.zed',
  'workflows',
]);
/** Looked into although hidden, for what is below. */
const WAYS = new Set(['.git', '.github']);
const IN_GIT = new Set(['config', 'config.worktree']);
const SKIPPED = new Set(['node_modules', 'target', 'dist', 'build', 'vendor', 'objects', 'refs', 'logs']);
const DEEPEST = 3;
const MOST_FOLDERS = 200;
const MOST_FILES = 2_000;
const HASHED_BYTES = 64 * 1024;

/** What identifies a file's state, by its path. */
export type Snapshot = ReadonlyMap<string, string>;

/** Bounded in folders, depth and bytes, since a person waits for it. */
export function snapshotTools(roots: readonly string[]): Snapshot {
  const found = new Map<string, string>();
  const waiting = roots.map((path) => ({ path, depth: 0, all: false, git: false }));
  for (let folders = 0; waiting.length > 0 && folders < MOST_FOLDERS; folders++) {
    const { path, depth, all, git } = waiting.shift()!;
    for (const entry of entriesOf(path)) {
      const name = entry.name;
      const full = join(path, name);
      if (entry.isDirectory()) {
        if (depth >= DEEPEST || SKIPPED.has(name)) continue;
        if (name.startsWith('.') && !FOLDERS.has(name) && !WAYS.has(name)) continue;
        if (git && name !== 'hooks') continue;
        waiting.push({ path: full, depth: depth + 1, all: all || FOLDERS.has(name), git: name === '.git' });
      } else if ((all || (git ? IN_GIT : NAMES).has(name)) && found.size < MOST_FILES) {
        const state = stateOf(full);
        if (state !== null) found.set(full, state);
      }
    }
  }
  return found;
}

/** Paths, relative to their root, that were made, changed or removed between the two, sorted. */
export function changedTools(before: Snapshot, after: Snapshot, roots: readonly string[]): string[] {
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths]
    .filter((path) => before.get(path) !== after.get(path))
    .map((path) => {
      const root = roots.find((each) => path.startsWith(`${each}/`));
      return root === roots[0] && root !== undefined ? relative(root, path) : path;
    })
    .sort();
}

function entriesOf(path: string) {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** The command chose what lies here: a link is not followed, and nothing but a plain file is opened. */
function stateOf(path: string): string | null {
  try {
    const found = lstatSync(path, { bigint: true });
    const kind = `${found.mode}`;
    if (!found.isFile() || found.size > HASHED_BYTES)
      return `${kind} ${found.ino} ${found.size} ${found.ctimeNs}`;
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const bytes = Buffer.alloc(HASHED_BYTES);
      const length = readSync(fd, bytes);
      return `${kind} ${createHash('sha256').update(bytes.subarray(0, length)).digest('base64')}`;
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
}
