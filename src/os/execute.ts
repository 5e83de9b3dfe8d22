/** Becoming another program: execve(2) with the search and the fallback of execvp(3). */
import { EACCES, ENOENT, ENOEXEC, ENOTDIR } from './errno.ts';
import { kindAt } from './files.ts';
import { addressOf, errno, libc } from './libc.ts';

const SIG_DFL = 0;
const SIG_SETMASK = 2;
const DEFAULT_PATH = '/bin:/usr/bin';

/**
 * Becomes the command; returns only if that fails, the number of the error then: ENOENT if there is none, EACCES
 * if one was found that may not be executed. `argv` and `environment` (`NAME=value`) are bytes without NUL.
 */
export function executeFile(argv: readonly Uint8Array[], environment: readonly Uint8Array[]): number {
  const command = argv[0];
  if (command === undefined || command.length === 0) return ENOENT;
  let found = ENOENT;
  for (const path of candidates(command, environment)) {
    let failed = execute(path, argv, environment);
    if (failed === ENOEXEC) {
      const shell = Buffer.from('/bin/sh'); // a script without a first line
      failed = execute(shell, [shell, path, ...argv.slice(1)], environment);
    }
    // A folder that may not be searched says nothing of the command; a shell goes on looking, too.
    if (failed === EACCES && (command.includes(SLASH) || isThere(path))) found = EACCES;
    else if (failed !== EACCES && failed !== ENOENT && failed !== ENOTDIR) return failed;
  }
  return found;
}

function isThere(path: Uint8Array): boolean {
  try {
    return kindAt(path) !== null;
  } catch {
    return false;
  }
}

const SLASH = 0x2f;
const COLON = 0x3a;

function candidates(command: Uint8Array, environment: readonly Uint8Array[]): Uint8Array[] {
  if (command.includes(SLASH)) return [command];
  const PATH = Buffer.from('PATH=');
  const entry = environment.find((each) => PATH.equals(each.subarray(0, PATH.length)));
  const path = entry === undefined ? Buffer.from(DEFAULT_PATH) : Buffer.from(entry.subarray(PATH.length));
  const folders: Uint8Array[] = [];
  let start = 0;
  for (let end = 0; end <= path.length; end++) {
    if (end < path.length && path[end] !== COLON) continue;
    folders.push(path.subarray(start, end));
    start = end + 1;
  }
  // An empty entry is the working directory.
  return folders.map((folder) =>
    Buffer.concat([folder.length === 0 ? Buffer.from('.') : folder, Buffer.of(SLASH), command]),
  );
}

function execute(path: Uint8Array, argv: readonly Uint8Array[], environment: readonly Uint8Array[]): number {
  const strings = [path, ...argv, ...environment];
  const pointers = 8 * (argv.length + 1 + environment.length + 1);
  // One buffer for all: the two lists of pointers, then the strings they point to.
  const block = Buffer.alloc(pointers + strings.reduce((sum, each) => sum + each.length + 1, 0));
  const base = addressOf(block);
  let at = pointers;
  const place = (bytes: Uint8Array) => {
    const address = base + at;
    block.set(bytes, at);
    at += bytes.length + 1;
    return BigInt(address);
  };
  const file = place(path);
  argv.forEach((each, index) => {
    block.writeBigUInt64LE(place(each), 8 * index);
  });
  const second = 8 * (argv.length + 1);
  environment.forEach((each, index) => {
    block.writeBigUInt64LE(place(each), second + 8 * index);
  });
  libc.execve(Number(file) as never, block, (base + second) as never);
  return errno();
}

/**
 * Gives the command the signals of a fresh process: none blocked, none ignored but the given ones. (The runtime
 * ignores some, and what is ignored stays so across execve; what it handles is reset by execve itself.)
 */
export function resetSignals(ignoredByUs: readonly number[]): void {
  for (const signal of ignoredByUs) libc.signal(signal, SIG_DFL);
  libc.sigprocmask(SIG_SETMASK, Buffer.alloc(128), null);
}
