/** Programs that the fence is built from: our own, again, and a few of the system's, never found by PATH. */
import { lstatSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const SYSTEM_FOLDERS = ['/usr/bin', '/bin', '/usr/local/bin', '/run/current-system/sw/bin'];
const OTHERS_MAY_WRITE = 0o022;

/**
 * The real path of a program of the system that nobody but root can replace: it and every folder above it belong
 * to root and are not writable by others. Null where there is none.
 */
export function systemProgram(name: string, folders: readonly string[] = SYSTEM_FOLDERS): string | null {
  for (const folder of folders) {
    try {
      const path = realpathSync(join(folder, name));
      if (lstatSync(path).isFile() && isRootsAlone(path)) return path;
    } catch {
      // not there
    }
  }
  return null;
}

/** What a container shows of a root that is not its own. */
const NOBODY = 65_534;

function isRootsAlone(path: string): boolean {
  const { uid, mode } = lstatSync(path);
  if (!(uid === 0 || (uid === NOBODY && !hasRoot())) || (mode & OTHERS_MAY_WRITE) !== 0) return false;
  return path === '/' || isRootsAlone(dirname(path));
}

/** Whether root of the machine has a number in our user namespace. */
function hasRoot(): boolean {
  return /^\s*0\s/m.test(readFileSync('/proc/self/uid_map', 'latin1'));
}

export interface OwnProgram {
  /** How it is started again as a part of itself. */
  argv: string[];
  /** Real paths without which it cannot start: the binary alone, or the runtime and the checkout. */
  places: string[];
}

/** `part`: the hidden command, the inside of a fence or a worker of a service. */
export function ownProgram(part: '__inner' | '__worker' = '__inner'): OwnProgram {
  const runtime = realpathSync(process.execPath);
  if (import.meta.url.startsWith('file:///$bunfs/')) return { argv: [runtime, part], places: [runtime] };
  const checkout = realpathSync(resolve(import.meta.dir, '../..'));
  const options = ['--no-env-file', '--config=/dev/null', '--no-install', '--tsconfig-override=/dev/null'];
  return {
    argv: [runtime, ...options, join(checkout, 'src/main.ts'), part],
    places: [checkout, runtime],
  };
}
