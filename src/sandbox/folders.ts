/** Questions about where a path lies. Paths are absolute and normal (no `.`, `..` or trailing slash). */
import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
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

/** As many as the kernel follows (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * Where a path leads, also through a link to what is not there yet, and every symbolic link that is followed on the
 * way, by the real path of the link itself.
 */
export function wayTo(path: string): { end: string; links: string[] } {
  const links: string[] = [];
  let end = '/';
  let names = path.split('/');
  while (names.length > 0) {
    const [name = '', ...rest] = names;
    names = rest;
    const next = join(end, name);
    const target = links.length < MOST_LINKS ? linkAt(next) : null;
    if (target === null) {
      end = next;
      continue;
    }
    links.push(next);
    names = [...target.split('/'), ...rest];
    if (target.startsWith('/')) end = '/';
  }
  return { end, links };
}

function linkAt(path: string): string | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(path) : null;
  } catch {
    return null; // what cannot be looked at cannot be changed either
  }
}

export function withoutRepeats(paths: readonly string[]): string[] {
  return [...new Set(paths)];
}
