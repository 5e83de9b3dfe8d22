/**
 * Which folders a command may change for real. Never one in which the person, or clawctl itself, would later run
 * or obey what was written there.
 */
import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure } from '../base/failure.ts';
import { isWithin, realPath } from './folders.ts';

export interface Place {
  path: string;
  /** For a sentence: `your home`. */
  name: string;
}

export interface Surroundings {
  /** Real path of the home over which a layer lies, or null where there is none. */
  layeredHome: string | null;
  /** A folder that is or contains one of these is not changed for real. */
  guarded: readonly Place[];
  /** Nor is one inside of these. */
  sealed: readonly Place[];
  /** Hidden from the command: nothing inside can be its working directory. */
  hidden: readonly Place[];
  /** Folders of which the fence has its own, empty at first. */
  private: readonly string[];
}

/** `written`: for real. `layered`: in the agent's copy of the home. `private`: a folder of the fence's own. */
export type Treatment = 'written' | 'layered' | 'read-only' | 'private';

const KERNEL_FOLDERS = ['/proc', '/sys', '/dev'];
/** What the machine itself runs and obeys. Root could change it; we run programs from there. */
const SYSTEM_FOLDERS = [
  ...['/bin', '/boot', '/etc', '/lib', '/lib32', '/lib64', '/libx32', '/sbin', '/usr/bin', '/usr/include'],
  ...['/usr/lib', '/usr/lib32', '/usr/lib64', '/usr/libexec', '/usr/libx32', '/usr/sbin', '/usr/local/bin'],
  ...[
    '/usr/local/etc',
    '/usr/local/lib',
    '/usr/local/libexec',
    '/usr/local/sbin',
    '/nix/store',
    '/var/spool',
  ],
];

export interface Workspace {
  /** Real path. */
  path: string;
  treatment: Treatment;
  /** What the person must know, or null. */
  notice: string | null;
}

/** How the working directory is treated. `path` is real. Throws Failure where the command could not be in it. */
export function workspaceAt(path: string, around: Surroundings): Workspace {
  const hidden = around.hidden.find((place) => isWithin(path, place.path));
  if (hidden !== undefined)
    throw new Failure(
      'run-refused',
      `The working directory ${path} lies in ${hidden.name}, which commands in the fence do not see.`,
      'Start from another folder.',
    );
  if (around.private.includes(path) && !around.guarded.some(({ path: place }) => place === path))
    return {
      path,
      treatment: 'private',
      notice: `${path} in the fence is empty and private; what is in yours is not seen`,
    };
  const reason = whyNotWritten(path, around);
  if (reason === null) return { path, treatment: 'written', notice: null };
  if (around.layeredHome !== null && isWithin(path, around.layeredHome))
    return {
      path,
      treatment: 'layered',
      notice: `the working directory ${reason}: changes in it go to the agent's own copy, yours stay as they are`,
    };
  return { path, treatment: 'read-only', notice: `the working directory ${reason}: it is read-only` };
}

/** The folder of a `--write`. Throws Failure where it may not be. */
export function writtenFolder(path: string, around: Surroundings): string {
  const refuse = (why: string, fix?: string): never => {
    throw new Failure('run-refused', `--write ${path}: ${why}.`, fix);
  };
  const real = realPath(path);
  const found = lstatSync(real, { throwIfNoEntry: false });
  if (found === undefined) return refuse('there is no such folder', 'Make it first.');
  if (real !== path)
    return refuse('a symbolic link is on the way, and it may be changed', `If you mean it: --write ${real}`);
  if (!found.isDirectory()) return refuse('it is not a folder');
  const hidden = around.hidden.find((place) => isWithin(real, place.path));
  if (hidden !== undefined) return refuse(`it lies in ${hidden.name}`);
  const reason = whyNotWritten(real, around);
  return reason === null ? real : refuse(`it ${reason}`, 'Name a folder below, or another one.');
}

function whyNotWritten(path: string, around: Surroundings): string | null {
  if (path === '/') return 'is the root folder';
  if (KERNEL_FOLDERS.some((folder) => isWithin(path, folder))) return 'belongs to the kernel';
  for (const { path: place, name } of [...around.guarded, ...around.sealed]) {
    if (path === place) return `is ${name}`;
    if (isWithin(place, path)) return `contains ${name}`;
  }
  const system = SYSTEM_FOLDERS.find((folder) => isWithin(path, folder) || isWithin(folder, path));
  if (system !== undefined) return isWithin(path, system) ? 'belongs to the system' : `contains ${system}`;
  // Moved elsewhere together with its folder, a store would be found by nobody the next time.
  const store = around.hidden.find((place) => dirname(place.path) !== path && isWithin(place.path, path));
  if (store !== undefined) return `contains ${store.name}`;
  const sealed = around.sealed.find((place) => isWithin(path, place.path));
  if (sealed !== undefined) return `lies in ${sealed.name}`;
  const own = around.private.find((folder) => isWithin(folder, path));
  return own === undefined ? null : `contains ${own}`;
}
