/**
 * What a command sees of the file system: everything read-only, its working directory and `--write` folders for
 * real, the home as a copy, and some of it not at all. A plan, made from what is on disk now; nothing is mounted
 * here. Two parts: what bwrap mounts, and what the inside mounts after it, since only there the layer over the
 * home can be made, which covers whatever was mounted in the home before.
 */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { totalmem } from 'node:os';
import { Failure } from '../base/failure.ts';
import type { Paths } from '../base/paths.ts';
import { credentialStores } from './credentials.ts';
import { isWithin, realPath, withoutRepeats } from './folders.ts';
import { type ByteText, bytesToText, type Mount } from './handshake.ts';
import { concealed } from './hidden.ts';
import type { HomeLayer } from './home.ts';
import { aliasesOf, type MountPoint, mountPoints } from './mountpoints.ts';
import { ownPlaces } from './own.ts';
import { admittedSocket } from './unixsockets.ts';
import { type Place, type Surroundings, type Workspace, workspaceAt, writtenFolder } from './workspace.ts';

export interface MountRequest {
  cwd: string;
  writes: readonly string[];
  reads: readonly string[];
  sockets: readonly { path: string; force: boolean }[];
  paths: Paths;
  policyFiles: readonly string[];
  /** Real paths without which our own program cannot start. */
  program: readonly string[];
  /** `$HOME` first, then the one of the user database where it is another. */
  homes: readonly string[];
  layer: HomeLayer | null;
  uid: number;
  /** The person's. */
  environment: Readonly<Record<string, string>>;
  /** The person's `$XDG_RUNTIME_DIR`. */
  runtimeFolder: string | null;
}

/** Something of the outside that is shown. `staged`: where bwrap mounts it until it is moved over the layer. */
export interface Shown {
  path: string;
  writable: boolean;
  staged: string | null;
}

export interface MountPlan {
  /** Empty folders of the fence's own, in memory. */
  private: { path: string; bytes: number; mode: number }[];
  shown: Shown[];
  layer: HomeLayer | null;
  inside: Mount[];
  workspace: Workspace;
  /** Real paths of the folders that are changed for real. */
  written: string[];
  /** Sockets that were let in, by their real paths. */
  admitted: string[];
  /** Real paths of all folders that the command can write in, for real or not. */
  writable: string[];
  /** `$XDG_RUNTIME_DIR` inside. */
  runtimeFolder: string;
  notices: string[];
}

/** Where bwrap puts what the inside moves on, and the inside its own files; gone before the command starts. */
export const STAGE = '/run/.clawctl';
export const MEMORY = Math.min(4 * 2 ** 30, Math.floor(totalmem() / 4));
const SMALL = 64 * 2 ** 20;
/** Made in a private folder again, since systems are built upon them. */
const NEEDED_OF_RUN = ['/run/current-system', '/run/opengl-driver'];

/** What the kernel lets root change there, whatever namespace root is in. */
const READ_ONLY_PROC = ['sys', 'sysrq-trigger', 'irq', 'bus', 'fs', 'acpi', 'scsi', 'mtrr', 'dynamic_debug'];

export function planMounts(request: MountRequest): MountPlan {
  const folders = privateFolders(request);
  const points = mountPoints();
  const everywhere = (path: string) => [path, ...aliasesOf(path, points)];
  const { places: own, links } = ownPlaces(request, everywhere);
  const stores = credentialStores(request).filter(mayBeThere).map(realPath).flatMap(everywhere);
  const reads = request.reads.map((path) => readPath(path, own));
  const hidden = withoutRepeats([
    ...own.map(({ path }) => path),
    ...stores.flatMap((path) => concealed(path, reads)),
  ]);
  const home = request.layer?.home ?? null;
  const around: Surroundings = {
    layeredHome: home,
    guarded: [
      ...request.homes.flatMap((path) => everywhere(realPath(path))).map(named('your home')),
      ...own,
      ...links.map(named("a link to clawctl's own files")),
    ],
    sealed: request.program.flatMap(everywhere).map(named("clawctl's own program")),
    hidden: hidden.map((path) => ({
      path,
      name: own.some((place) => place.path === path) ? "clawctl's own files" : 'a credential store',
    })),
    private: folders.map(({ path }) => path),
  };
  const workspace = workspaceAt(realpathSync(request.cwd), around);
  const written = withoutRepeats([
    ...(workspace.treatment === 'written' ? [workspace.path] : []),
    ...request.writes.map((path) => writtenFolder(path, around)),
  ]);
  const admitted = request.sockets.map((socket) =>
    admittedSocket(
      socket,
      own.map(({ path }) => path),
    ),
  );

  const isPrivate = (path: string) => folders.some((folder) => isWithin(path, folder.path));
  const isLayered = (path: string) => home !== null && path !== home && isWithin(path, home);
  const visible = withoutRepeats([
    ...request.program.filter(isPrivate),
    ...(home !== null && isPrivate(home) ? [home] : []),
    ...(workspace.treatment === 'read-only' && isPrivate(workspace.path) ? [workspace.path] : []),
    ...reads.filter((path) => isPrivate(path)),
    ...NEEDED_OF_RUN.filter(existsSync),
    ...(home === null ? [] : mountsBelow(home, points)),
    ...admitted.filter((path) => isPrivate(path) || isLayered(path)),
  ]).filter((path) => !written.includes(path));
  const shown = [
    ...visible.map((path) => ({ path, writable: false })),
    ...written.map((path) => ({ path, writable: true })),
  ]
    .sort((one, other) => one.path.length - other.path.length)
    .map((each, index) => ({ ...each, staged: isLayered(each.path) ? `${STAGE}/${index}` : null }));

  return {
    private: folders,
    shown,
    layer: request.layer,
    inside: [
      ...READ_ONLY_PROC.map((name) => ({ kind: 'protect', target: `/proc/${name}` }) as const),
      { kind: 'terminals', target: '/dev/pts' },
      ...(request.layer === null ? [] : [overlay(request.layer)]),
      ...shown.flatMap(({ path, staged }) =>
        staged === null ? [] : [{ kind: 'move', source: staged, target: bytesToText(path) } as const],
      ),
      ...hidden.map((path) => ({ kind: 'hide', target: bytesToText(path) }) as const),
      { kind: 'detach', target: STAGE },
    ],
    workspace,
    written,
    admitted,
    writable: [...folders.map(({ path }) => path), ...written, ...(home === null ? [] : [home])],
    runtimeFolder: `/run/user/${request.uid}`,
    notices: workspace.notice === null ? [] : [workspace.notice],
  };
}

/** Of these sockets, those that the command would see and that were not let in. */
export function socketsInSight(plan: MountPlan, sockets: readonly ByteText[]): ByteText[] {
  return sockets.filter(
    (path) => !plan.admitted.some((each) => bytesToText(each) === path) && !isEmptyAt(plan, path),
  );
}

/** Whether a path lies in a folder of the fence's own, and in nothing of the outside that is shown there. */
export function isEmptyAt(plan: Pick<MountPlan, 'private' | 'shown'>, path: ByteText): boolean {
  const within = (place: { path: string }) => isWithin(path, bytesToText(place.path));
  return plan.private.some(within) && !plan.shown.some(within);
}

const named = (name: string) => (path: string) => ({ path, name });

function overlay(layer: HomeLayer): Mount {
  const home = bytesToText(layer.home);
  const folder = `${STAGE}/layer`;
  return {
    kind: 'overlay',
    lower: home,
    upper: `${folder}/upper`,
    work: `${folder}/work`,
    target: home,
    spare: layer.folder === null ? null : `${STAGE}/spare`,
    memory: MEMORY,
  };
}

function privateFolders(request: MountRequest): MountPlan['private'] {
  const sticky = 0o1777;
  const wanted = [
    { path: '/tmp', bytes: MEMORY, mode: sticky },
    { path: '/var/tmp', bytes: MEMORY, mode: sticky },
    { path: '/dev/shm', bytes: MEMORY, mode: sticky },
    { path: '/run', bytes: SMALL, mode: 0o755 },
    { path: '/var/run', bytes: SMALL, mode: 0o755 },
    ...(request.runtimeFolder === null ? [] : [{ path: request.runtimeFolder, bytes: SMALL, mode: 0o700 }]),
  ];
  const found: MountPlan['private'] = [];
  for (const folder of wanted) {
    const path = realPath(folder.path);
    if (existsSync(path) && !found.some((other) => isWithin(path, other.path)))
      found.push({ ...folder, path });
  }
  return found;
}

/** Also where a folder on the way cannot be searched: its owner, and so the command, can change that. */
function mayBeThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
}

function readPath(path: string, own: readonly Place[]): string {
  const real = realPath(path);
  if (!existsSync(real)) throw new Failure('run-refused', `--read ${path}: there is nothing.`);
  const ours = own.find((place) => isWithin(real, place.path) || isWithin(place.path, real));
  if (ours !== undefined && isWithin(real, ours.path))
    throw new Failure(
      'run-refused',
      `--read ${path}: ${ours.name} is never shown to a command in the fence.`,
    );
  return real;
}

/** A layer shows one file system; what is mounted below it must be shown again. */
function mountsBelow(home: string, mounts: readonly MountPoint[]): string[] {
  return mounts
    .filter(
      ({ path, type }) =>
        path.startsWith(`${home}/`) && !/^(autofs|fuse\.(portal|gvfsd))/.test(type) && existsSync(path),
    )
    .map(({ path }) => path);
}
