/**
 * The home is copy-on-write: what a command changes in it lands in a layer of the agent's own below our state,
 * and the person's files stay as they are. Two runs of one agent cannot use one layer at the same time (overlayfs
 * forbids it): the second has one in memory, and is told.
 */
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../base/failure.ts';
import { lockFile } from '../os/lock.ts';
import { realPath, withoutRepeats } from './folders.ts';

export interface HomeLayer {
  /** Real path of the home. */
  home: string;
  /** The home's permissions, which the layer's own folder must have too. */
  mode: number;
  /** Holds `upper` and `work`; null: the layer lives in memory until the end. */
  folder: string | null;
}

export interface OpenedLayer {
  /** Null where this user has no home to lay over. */
  layer: HomeLayer | null;
  notices: string[];
  /** Lets another run of the agent have the layer. */
  release(): void;
}

/** `agent` is a plain name, fit to be a file's. Throws Failure where the state folder cannot be written. */
export function openHomeLayer(options: {
  home: string | undefined;
  state: string;
  agent: string;
  fresh: boolean;
}): OpenedLayer {
  const home = usableHome(options.home);
  if (home === null)
    return {
      layer: null,
      notices: [`there is no home folder (${options.home ?? 'HOME is not set'}): nothing in it can be kept`],
      release: () => {},
    };
  const folder = join(options.state, 'homes', options.agent);
  const mode = statSync(home).mode & 0o7777;
  let lock: number;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    lock = openSync(join(folder, 'lock'), 'w', 0o600);
  } catch (error) {
    throw new Failure(
      'store-unwritable',
      `The agent's copy of the home cannot be made in ${folder}: ${(error as Error).message}.`,
      'Make the folder writable, or set XDG_STATE_HOME to one that is.',
    );
  }
  if (!lockFile(lock, false)) {
    closeSync(lock);
    return {
      layer: { home, mode, folder: null },
      notices: [
        `another run of ${options.agent} uses its copy of the home: what this one changes there is dropped at its end`,
      ],
      release: () => {},
    };
  }
  if (options.fresh) drop(folder);
  for (const name of ['upper', 'work']) mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
  chmodSync(join(folder, 'upper'), mode);
  const release = () => {
    makeRemovable(join(folder, 'work', 'work'));
    closeSync(lock);
  };
  return { layer: { home, mode, folder }, notices: [], release };
}

/** overlayfs leaves a folder that nobody may enter, over which tools that remove the state stumble. */
function makeRemovable(path: string): void {
  try {
    chmodSync(path, 0o700);
  } catch {
    // It was never mounted.
  }
}

function usableHome(given: string | undefined): string | null {
  if (given === undefined || !given.startsWith('/')) return null;
  const home = realPath(given);
  const found = statSync(home, { throwIfNoEntry: false });
  if (home === '/' || found === undefined || !found.isDirectory()) return null;
  return found.uid === process.getuid!() ? home : null;
}

/**
 * Everything the agent has changed. It may have made folders that not even their owner may enter, and more of them in
 * each other than a path can name; so each is brought up to the top before it is emptied.
 */
function drop(folder: string): void {
  const heap = join(folder, 'dropped');
  mkdirSync(heap, { recursive: true, mode: 0o700 });
  const empty = (path: Buffer | string) => {
    chmodSync(path, 0o700); // a folder, not a link; and nobody else is here, the layer is locked
    for (const name of readdirSync(path, { encoding: 'buffer' })) {
      const entry = Buffer.concat([Buffer.from(path), Buffer.from('/'), name]);
      if (!lstatSync(entry).isDirectory()) rmSync(entry);
      else {
        chmodSync(entry, 0o700);
        renameSync(entry, join(heap, crypto.randomUUID()));
      }
    }
  };
  for (const name of ['upper', 'work']) {
    mkdirSync(join(folder, name), { recursive: true });
    empty(join(folder, name));
  }
  for (let left = readdirSync(heap); left.length > 0; left = readdirSync(heap))
    for (const name of left) {
      empty(join(heap, name));
      rmdirSync(join(heap, name));
    }
  rmdirSync(heap);
}

/** `$HOME`, and the home of the user database where it is another: both hold credentials. */
export function homeFolders(environmentHome: string | undefined, uid: number): string[] {
  const fromUsers = (() => {
    try {
      const fields = readFileSync('/etc/passwd', 'utf8')
        .split('\n')
        .map((line) => line.split(':'));
      return fields.find((field) => field[2] === String(uid))?.[5];
    } catch {
      return undefined;
    }
  })();
  return withoutRepeats(
    [environmentHome, fromUsers].filter((home) => home?.startsWith('/')).map((home) => join(home!)),
  );
}
