/**
 * Files in a workspace that people and tools outside execute or obey without being asked. Those that a command has
 * changed are worth a look before anything runs there. Compared by content where they are small; by the kernel's
 * own time of change, which nobody can set, where they are large.
 */
import { closeSync, constants, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

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
  'HEAD', // what git takes for a repository, with settings that it executes
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
const MOST_FILES = 2_000;
const HASHED_BYTES = 64 * 1024;
/** Folders looked into before the command starts, while a person waits, and after it. */
const MOST_FOLDERS = { before: 200, after: 2_000 };
/** How far the times of files may lag behind the clock. */
const TICK_MILLISECONDS = 20;

export interface Snapshot {
  time: number;
  /** What identifies a file's state, by its path. */
  files: ReadonlyMap<string, string>;
  /** The folders that were looked into. */
  folders: ReadonlySet<string>;
  /** Whether that was all of them. */
  isWhole: boolean;
}

/** Bounded in folders, depth and bytes. What matters most is looked at first, however much lies beside it. */
export function snapshotTools(roots: readonly string[], when: 'before' | 'after' = 'before'): Snapshot {
  const files = new Map<string, string>();
  const folders = new Set<string>();
  const time = Date.now();
  const waiting = roots.map((path) => ({ path, depth: 0, all: false, git: false }));
  while (waiting.length > 0 && folders.size < MOST_FOLDERS[when]) {
    const { path, depth, all, git } = waiting.shift()!;
    folders.add(path);
    for (const entry of entriesOf(path)) {
      const name = entry.name;
      const full = join(path, name);
      const isSpecial = FOLDERS.has(name) || WAYS.has(name);
      if (entry.isDirectory()) {
        if (depth >= DEEPEST || SKIPPED.has(name)) continue;
        if (name.startsWith('.') && !isSpecial) continue;
        if (git && name !== 'hooks') continue;
        const next = { path: full, depth: depth + 1, all: all || FOLDERS.has(name), git: name === '.git' };
        if (isSpecial) waiting.unshift(next);
        else waiting.push(next);
      } else if ((all || isSpecial || (git ? IN_GIT : NAMES).has(name)) && files.size < MOST_FILES) {
        const state = stateOf(full);
        if (state !== null) files.set(full, state);
      }
    }
  }
  return { time, files, folders, isWhole: waiting.length === 0 };
}

/** Paths, relative to their root, that were made, changed or removed between the two, sorted. */
export function changedTools(before: Snapshot, after: Snapshot, roots: readonly string[]): string[] {
  const paths = new Set([...before.files.keys(), ...after.files.keys()]);
  return [...paths]
    .filter((path) => before.files.get(path) !== after.files.get(path) && isChange(path, before, after))
    .map((path) => {
      const root = roots.find((each) => path.startsWith(`${each}/`));
      return root === roots[0] && root !== undefined ? relative(root, path) : path;
    })
    .sort();
}

/** Not where only one of the two looked: then the kernel's time of change decides. */
function isChange(path: string, before: Snapshot, after: Snapshot): boolean {
  const folder = dirname(path);
  if (after.files.has(path) && (before.isWhole || before.folders.has(folder))) return true;
  if (before.files.has(path) && (after.isWhole || after.folders.has(folder))) return true;
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found === undefined || found.ctimeMs >= before.time - TICK_MILLISECONDS;
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
      return `${kind} ${new Bun.CryptoHasher('sha256').update(bytes.subarray(0, length)).digest('base64')}`;
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
}
