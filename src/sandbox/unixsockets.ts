/**
 * UNIX sockets with a path are reachable from any network namespace that sees the path. So those that are open
 * when the fence is built are covered, and the few that `--socket` lets in are looked at.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure } from '../base/failure.ts';
import { realPath, withoutRepeats } from './folders.ts';
import { type ByteText, textToBytes } from './handshake.ts';
import { entriesOf } from './special.ts';

/** Whoever reaches one of these commands the machine, or the session of the person. */
const COMMANDING =
  /docker|podman|containerd|crio|buildkit|lxd|incus|libvirt|snapd|\/bus$|dbus|system_bus_socket|\/systemd\/|\/keyring\/|ssh-agent|gpg-agent|\/ssh-[^/]*\/agent|\/tmux-|\/screens?\//i;

/**
 * Paths of the sockets in `/proc/net/unix` (one character per byte) that have one and still exist. A socket is still
 * reached where its file was renamed; so where nothing is left at a path, all sockets beside it count.
 */
export function openSocketPaths(table = socketTables()): string[] {
  const found: string[] = [];
  const left = new Set<string>();
  let folders: string[] | null = null;
  for (const line of table.split('\n').slice(1)) {
    // Num RefCount Protocol Flags Type St Inode Path; the path may hold spaces, an abstract one begins with @
    const name = /^\S+ \S+ \S+ \S+ \S+ \S+ +\d+ (.+)$/.exec(line)?.[1];
    if (name === undefined || name.startsWith('@')) continue;
    const isAbsolute = name.startsWith('/');
    // Bound relative to a working directory that the kernel does not tell: any process's may be it.
    if (!isAbsolute) folders ??= workingFolders();
    const paths = isAbsolute ? [name] : folders!.map((folder) => `${folder}/${name}`);
    const here = paths.filter(isSocket);
    found.push(...here);
    if (here.length === 0) for (const path of paths) left.add(dirname(path));
  }
  return withoutRepeats([...found, ...[...left].flatMap(socketsIn)]);
}

/**
 * The sockets of every network namespace that a process here is in: paths are shared where networks are not. Each
 * namespace has its own table, and one table the same inode whichever process shows it.
 */
function socketTables(): string {
  const tables = new Map<number, string>();
  for (const pid of processes()) {
    const file = `/proc/${pid}/net/unix`;
    try {
      const { ino } = statSync(file);
      if (!tables.has(ino)) tables.set(ino, readFileSync(file, 'latin1'));
    } catch {
      // It ended.
    }
  }
  return [...tables.values()].join('');
}

function socketsIn(folder: ByteText): ByteText[] {
  return entriesOf(folder)
    .filter(([, entry]) => entry.isSocket())
    .map(([name]) => `${folder}/${name}`);
}

function isSocket(path: string): boolean {
  try {
    return lstatSync(textToBytes(path)).isSocket();
  } catch {
    return false;
  }
}

const processes = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name));

function workingFolders(): string[] {
  const folders = new Set<string>();
  for (const pid of processes()) {
    try {
      folders.add(readlinkSync(`/proc/${pid}/cwd`, 'latin1'));
    } catch {
      // It ended, or belongs to somebody else: then its sockets are theirs to guard.
    }
  }
  return [...folders];
}

/** The real path of a socket that may be let in. Throws Failure. */
export function admittedSocket(request: { path: string; force: boolean }, ours: readonly string[]): string {
  const path = realPath(request.path);
  let found = false;
  try {
    found = lstatSync(path).isSocket();
  } catch {
    // said below
  }
  if (!found) throw new Failure('run-refused', `--socket ${request.path}: there is no socket.`);
  if (ours.some((folder) => path === folder || path.startsWith(`${folder}/`)))
    throw new Failure('run-refused', `--socket ${request.path}: it belongs to clawctl itself.`);
  if (COMMANDING.test(path) && !request.force)
    throw new Failure(
      'run-refused',
      `--socket ${request.path}: whoever reaches this socket can leave the fence through it.`,
      'If you mean it, add --force.',
    );
  return path;
}
