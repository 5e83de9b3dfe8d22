/**
 * The folder of one service, in the runtime folder, which no fence shows: its lock, and links to the sockets of the
 * process that serves now. A process that takes over turns the links to its own.
 */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../base/failure.ts';
import type { Paths } from '../base/paths.ts';
import { lockFile } from '../os/lock.ts';

/** Throws a Failure where it is none. */
export function serviceName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(text)) return text;
  throw new Failure(
    'usage',
    'That is not the name of a service.',
    'It has 1 to 32 letters, digits and . _ - and begins with a letter or digit.',
  );
}

export type Door = 'admin' | 'takeover';

export class ServiceFolder {
  readonly path: string;
  /** What was sent today; see usagefile.ts. */
  readonly usage: string;
  /** For a person who looks for it elsewhere. */
  readonly described: string;
  #lock: number | null = null;
  #wasLeft = true;
  #isNew = false;

  constructor(paths: Pick<Paths, 'runtime' | 'state'>, name: string) {
    this.usage = join(paths.state, `serve-${name}.usage`);
    this.path = join(paths.runtime, `serve-${name}`);
    const isBelowState = paths.runtime === join(paths.state, 'runtime', 'clawctl');
    const cause = isBelowState ? 'because XDG_RUNTIME_DIR is not set' : 'by XDG_RUNTIME_DIR';
    this.described = `${this.path}, ${cause}`;
  }

  /** Whoever holds the lock serves. False: somebody does already. Throws what the file system throws. */
  take(): boolean {
    if (mkdirSync(this.path, { recursive: true, mode: 0o700 }) !== undefined) this.#isNew = true;
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    const fd = openSync(join(this.path, 'lock'), flags, 0o600);
    if (!lockFile(fd, false)) {
      closeSync(fd);
      return false;
    }
    if (!isStill(fd, join(this.path, 'lock'))) {
      closeSync(fd);
      return this.take();
    }
    this.#lock = fd;
    const left = readdirSync(this.path).filter((name) => name !== 'lock');
    for (const name of left) rmSync(join(this.path, name), { force: true });
    this.#wasLeft = left.length === 0;
    return true;
  }

  /** Whether the service before this one, if there was one, took its own away, as one that is killed does not. */
  get wasLeft(): boolean {
    return this.#wasLeft;
  }

  /** A lock is its open file's, so it can be passed on. */
  get lock(): number {
    return this.#lock!;
  }

  inherit(lock: number): void {
    this.#lock = lock;
  }

  /** The link that everybody knows. */
  door(door: Door): string {
    return join(this.path, `${door}.sock`);
  }

  /** Where this process opens its own. */
  own(door: Door): string {
    return join(this.path, `${door}-${process.pid}.sock`);
  }

  /** Leads the link to this process's own, in one step. */
  open(door: Door): void {
    const temporary = `${this.own(door)}.new`;
    rmSync(temporary, { force: true });
    symlinkSync(this.own(door), temporary);
    renameSync(temporary, this.door(door));
  }

  /** Takes away what is this process's own, and the link where it still leads there. `served`: it had begun. */
  leave(served = true): void {
    for (const door of ['admin', 'takeover'] as const) {
      if (leadsTo(this.door(door), this.own(door))) rmSync(this.door(door), { force: true });
      rmSync(this.own(door), { force: true });
    }
    if (this.#isNew && !served) rmSync(this.path, { recursive: true, force: true });
    if (this.#lock !== null) closeSync(this.#lock);
    this.#lock = null;
  }
}

/** A start that fails takes its folder away with the lock in it, which somebody may just have opened. */
function isStill(fd: number, path: string): boolean {
  return fstatSync(fd).ino === statSync(path, { throwIfNoEntry: false })?.ino;
}

function leadsTo(link: string, place: string): boolean {
  try {
    return readlinkSync(link) === place;
  } catch {
    return false;
  }
}
