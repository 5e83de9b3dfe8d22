/**
 * UNIX sockets with a path are reachable from any network namespace that sees the path. So those that are open
 * when the fence is built are covered, and the few that `--socket` lets in are looked at.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { realPath } from './folders.ts';

/** Whoever reaches one of these commands the machine, or the session of the person. */
const COMMANDING =
  /docker|podman|containerd|crio|buildkit|lxd|incus|libvirt|snapd|\/bus$|dbus|system_bus_socket|\/systemd\/|\/keyring\/|ssh-agent|gpg-agent|\/ssh-[^/]*\/agent|\/tmux-|\/screens?\//i;

/** Real paths of the sockets in `/proc/net/unix` (one character per byte) that have one and still exist. */
export function openSocketPaths(table = readFileSync('/proc/net/unix', 'latin1')): string[] {
  const paths: string[] = [];
  let folders: string[] | null = null;
  for (const line of table.split('\n').slice(1)) {
    // Num RefCount Protocol Flags Type St Inode Path; the path may hold spaces, an abstract one begins with @
    const name = /^\S+ \S+ \S+ \S+ \S+ \S+ +\d+ (.+)$/.exec(line)?.[1];
    if (name === undefined || name.startsWith('@')) continue;
    if (name.startsWith('/')) paths.push(name);
    else {
      // Bound relative to a working directory that the kernel does not tell: any process's may be it.
      folders ??= workingFolders();
      paths.push(...folders.map((folder) => `${folder}/${name}`));
    }
  }
  return [...new Set(paths)].filter(isSocket);
}

function isSocket(path: string): boolean {
  try {
    return lstatSync(Buffer.from(path, 'latin1')).isSocket();
  } catch {
    return false;
  }
}

function workingFolders(): string[] {
  const folders = new Set<string>();
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
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
