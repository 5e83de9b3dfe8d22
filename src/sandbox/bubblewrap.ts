/**
 * The arguments of bubblewrap (bwrap(1)). The device nodes are bound one by one, since its `--dev` would put a
 * second user namespace around the network's; the pseudo-terminals, the layer over the home, files of the fence's own and
 * what hides things or makes them read-only follow from the inside, where a mount costs a tenth of what it costs here.
 */
import { NEEDED_CAPABILITIES } from './handshake.ts';
import { MEMORY, type MountPlan, type Shown, STAGE } from './mounts.ts';

/** A descriptor that bwrap inherits. */
type Inherited = number;

export interface Ingredients {
  mounts: MountPlan;
  /** Folders that are held open so that nobody can put another in their place: path to descriptor. */
  pinned: ReadonlyMap<string, Inherited>;
  /** The person's own terminal, such as `/dev/pts/3`, or null. */
  terminal: string | null;
  filter: Inherited;
}

const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];

export function bubblewrapArguments(parts: Ingredients): string[] {
  const { mounts } = parts;
  return [
    ...['--unshare-user', '--unshare-net', '--unshare-pid', '--unshare-ipc', '--die-with-parent'],
    ...['--ro-bind', '/', '/', '--proc', '/proc'],
    ...devices(parts.terminal),
    ...mounts.private.flatMap(({ path, bytes, mode }) => memory(path, bytes, mode)),
    ...['--perms', '0755', '--dir', '/run/user', '--perms', '0700', '--dir', mounts.runtimeFolder],
    ...['--perms', '1777', '--dir', '/run/lock'],
    ...memory(STAGE, 2 ** 20, 0o700),
    ...mounts.shown.flatMap((each) => show(each, parts.pinned)),
    ...layer(mounts),
    ...['--remount-ro', '/dev', '--chdir', '/', '--seccomp', `${parts.filter}`],
    ...NEEDED_CAPABILITIES.flatMap((capability) => ['--cap-add', capability]),
  ];
}

function memory(path: string, bytes: number, mode: number): string[] {
  return ['--perms', mode.toString(8).padStart(4, '0'), '--size', `${bytes}`, '--tmpfs', path];
}

function devices(terminal: string | null): string[] {
  return [
    ...memory('/dev', 2 ** 20, 0o755),
    ...DEVICES.flatMap((name) => ['--dev-bind', `/dev/${name}`, `/dev/${name}`]),
    ...(terminal === null ? [] : ['--dev-bind', terminal, '/dev/console']),
    ...['--dir', '/dev/pts', '--dir', '/dev/shm', '--symlink', 'pts/ptmx', '/dev/ptmx'],
    ...['--symlink', '/proc/self/fd', '/dev/fd'],
    ...['stdin', 'stdout', 'stderr'].flatMap((name, fd) => [
      '--symlink',
      `/proc/self/fd/${fd}`,
      `/dev/${name}`,
    ]),
  ];
}

function show({ path, writable, staged }: Shown, pinned: ReadonlyMap<string, Inherited>): string[] {
  const held = pinned.get(path);
  const source = held === undefined ? path : `/proc/self/fd/${held}`;
  return [writable ? '--bind' : '--ro-bind', source, staged ?? path];
}

function layer({ layer }: MountPlan): string[] {
  if (layer === null) return [];
  const place = `${STAGE}/layer`;
  if (layer.folder !== null) return ['--bind', layer.folder, place, '--dir', `${STAGE}/spare`];
  const mode = layer.mode.toString(8).padStart(4, '0');
  return [
    ...memory(place, MEMORY, 0o700),
    '--perms',
    mode,
    '--dir',
    `${place}/upper`,
    '--dir',
    `${place}/work`,
  ];
}
