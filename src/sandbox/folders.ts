/** Questions about where a path lies. Paths are absolute and normal (no `.`, `..` or trailing slash). */
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** True for the folder itself too. */
export function isWithin(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}

/** The path with every symbolic link followed, also where its last parts do not exist yet. */
export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path
      ? path
      : join(realPath(parent), path.slice(parent === '/' ? 1 : parent.length + 1));
  }
}

export function withoutRepeats(paths: readonly string[]): string[] {
  return [...new Set(paths)];
}
