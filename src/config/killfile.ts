/**
 * Writing the kill switch's file. To stop must work when little else does: without a policy, without the store, and
 * on a full disk, where an empty file still says enough.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../base/failure.ts';
import { lockFile } from '../os/lock.ts';
import { shellWord } from '../policy/change.ts';
import { codeOf, reasonOf } from './fileerror.ts';
import { type Kill, readKills } from './killswitch.ts';

const LOCK_MILLISECONDS = 2_000;
const LOCK_PAUSE_MILLISECONDS = 20;

export interface KillOrder {
  /** Null: every agent. */
  agent: string | null;
  by: string;
  reason: string | null;
  /** Milliseconds, wall time. */
  now: number;
}

/** Stops. Returns what already stopped the same before, or null. Throws Failure `kill-failed`: then nothing is stopped. */
export function addKill(file: string, { agent, by, reason, now }: KillOrder): Kill | null {
  return locked(file, () => {
    const kills = readKills([file]);
    // What cannot be read stops everything; less would be stopped if it were replaced.
    const same = kills.find((kill) => kill.damage !== null || kill.agent === agent);
    if (same !== undefined && (same.damage === null || agent !== null)) return same;
    const rest = kills.filter((kill) => kill.damage === null);
    const all = [...rest, { agent, since: now, by, reason, file, damage: null }];
    try {
      write(file, all);
    } catch (error) {
      if (agent !== null || codeOf(error) !== 'ENOSPC') throw error;
      closeSync(openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
    }
    return same ?? null;
  });
}

/** Lets go on what the order names; null: everything. Returns what is no longer stopped. Throws Failure. */
export function removeKills(file: string, agent: string | null): Kill[] {
  return locked(file, () => {
    const kills = readKills([file]);
    if (agent === null) {
      if (kills.length > 0) remove(file);
      return [...kills];
    }
    const taken = kills.filter((kill) => kill.agent === agent);
    const rest = kills.filter((kill) => kill.agent !== agent);
    if (taken.length === 0) return [];
    if (rest.length === 0) remove(file);
    else write(file, rest);
    return taken;
  });
}

/** Of a folder we cannot know what it is there for: whoever made it takes it away. */
function remove(file: string): void {
  if (lstatSync(file).isDirectory())
    throw new Failure(
      'kill-failed',
      `${file} is a folder, and stops everything while it is there.`,
      `Remove the folder, after a look at what is in it: rm -r ${shellWord(file)}`,
    );
  rmSync(file);
}

function locked<T>(file: string, act: () => T): T {
  let lock: number | null = null;
  try {
    // Of the machine's file everybody must be able to see that it is not there.
    const mode = file.startsWith('/etc/') ? 0o755 : 0o700;
    mkdirSync(dirname(file), { recursive: true, mode });
    lock = openLock(join(dirname(file), `.${basename(file)}.lock`));
    for (let waited = 0; lock !== null && !lockFile(lock, false); waited += LOCK_PAUSE_MILLISECONDS) {
      if (waited >= LOCK_MILLISECONDS) throw new Error('another process holds on to it');
      Bun.sleepSync(LOCK_PAUSE_MILLISECONDS);
    }
    return act();
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(
      'kill-failed',
      `The kill file ${file} could not be changed: ${reasonOf(error)}.`,
      'Nothing has changed. As the owner of that folder, try again; ending the gateways stops everything too.',
    );
  } finally {
    if (lock !== null) closeSync(lock);
  }
}

/** Null where the disk is full: to stop goes before to wait for one another. */
function openLock(path: string): number | null {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    if (codeOf(error) === 'ENOSPC') return null;
    throw error;
  }
}

/** Whole or not at all. Everybody may read it: gateways of other users obey the machine's. */
function write(file: string, kills: readonly Kill[]): void {
  const killed = kills.map(({ agent, since, by, reason }) => ({
    ...{ agent, since: new Date(since ?? 0).toISOString(), by, reason },
  }));
  const temporary = join(dirname(file), `.${basename(file)}.new`);
  rmSync(temporary, { force: true });
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(temporary, flags, 0o644);
  try {
    const bytes = Buffer.from(`${JSON.stringify({ version: 1, killed })}\n`);
    fchmodSync(fd, 0o644);
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
    fsyncSync(fd);
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  const folder = openSync(dirname(file), constants.O_RDONLY | constants.O_DIRECTORY);
  fsyncSync(folder);
  closeSync(folder);
}
