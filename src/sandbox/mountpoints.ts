/** What is mounted where (proc_pid_mountinfo(5)). One file system may be mounted in several places. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isWithin } from './folders.ts';

export interface MountPoint {
  path: string;
  /** The folder of the file system that is seen there. */
  root: string;
  /** `major:minor` of the file system. */
  device: string;
  /** Such as `ext4`. */
  type: string;
}

/** In the kernel's order: what is mounted over something else comes after it. */
export function mountPoints(table = readFileSync('/proc/self/mountinfo', 'utf8')): MountPoint[] {
  const unescaped = (text = '') =>
    text.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
  return table
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, , device = '', root, path] = line.split(' ');
      return {
        path: unescaped(path),
        root: unescaped(root),
        device,
        type: line.split(' - ')[1]?.split(' ')[0] ?? '',
      };
    });
}

/** The other paths of what a real path leads to, where its file system is mounted a second time. */
export function aliasesOf(path: string, mounts: readonly MountPoint[]): string[] {
  const around = mounts.findLast((mount) => isWithin(path, mount.path));
  if (around === undefined) return [];
  const inner = join(around.root, below(path, around.path));
  return mounts
    .filter((mount) => mount !== around && mount.device === around.device && isWithin(inner, mount.root))
    .map((mount) => join(mount.path, below(inner, mount.root)))
    .filter((alias) => alias !== path && mayBeSame(alias, path));
}

/** The rest of a path, with its leading slash. */
function below(path: string, folder: string): string {
  return folder === '/' ? path : path.slice(folder.length);
}

/** False where something else has been mounted over it. What is not there yet may be made there. */
function mayBeSame(alias: string, path: string): boolean {
  const [one, other] = [alias, path].map((each) => statSync(each, { throwIfNoEntry: false }));
  return one === undefined || other === undefined
    ? one === other
    : one.dev === other.dev && one.ino === other.ino;
}
