/**
 * The kill switch: files that say what is stopped, this user's own and the machine's. No file: nothing is. Whatever
 * keeps us from reading what a file says (it is empty, damaged, no file, not ours to see) stops everything.
 *
 *   {"version":1,"killed":[{"agent":null,"since":"2026-01-31T08:00:00.000Z","by":"ann","reason":"SEC-12"}]}
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from 'node:fs';
import type { Paths } from '../base/paths.ts';
import { printable } from '../names/display.ts';
import { keepLooking, stateOf } from './look.ts';

export interface Kill {
  /** Null: every agent. */
  agent: string | null;
  /** Wall time, milliseconds; null where the file does not say. */
  since: number | null;
  by: string | null;
  reason: string | null;
  /** The file that says so. */
  file: string;
  /** Why the file could not be read; it stops everything then. */
  damage: string | null;
}

/** Far more than all agents that a policy can name. */
const LARGEST_FILE = 1 << 20;

export const killFiles = (paths: Pick<Paths, 'kill' | 'machineKill'>) => [paths.machineKill, paths.kill];

/** Everything that is stopped now. Never throws. */
export function readKills(files: readonly string[]): readonly Kill[] {
  return files.flatMap(killsIn);
}

/** What stops this agent, or null. */
export function killOf(kills: readonly Kill[], agent: string): Kill | null {
  return kills.find((kill) => kill.agent === null || kill.agent === agent) ?? null;
}

/** `everything is stopped, by ann since 2026-01-31T08:00:00Z (SEC-12)`: one line, whatever somebody wrote into it. */
export function killText({ agent, since, by, reason, file, damage }: Kill): string {
  const what = agent === null ? 'everything is stopped' : `${agent} is stopped`;
  if (damage !== null) return printable(`${what}, because of the kill file ${file}: ${damage}`);
  const when = since === null ? '' : ` since ${new Date(since).toISOString().replace(/\.\d+/, '')}`;
  return printable(`${what}, by ${by}${when}${reason === null || reason === '' ? '' : ` (${reason})`}`);
}

export interface KillSwitch {
  kills(): readonly Kill[];
  isKilled(agent: string): boolean;
  close(): void;
}

/** Follows the files, for as long as a gateway runs. `onChange`: within 150 ms of what changed. */
export function followKillSwitch(
  files: readonly string[],
  onChange: (kills: readonly Kill[]) => void,
): KillSwitch {
  const look = () => files.map((file) => stateOf(file).text).join('\n');
  let seen = look();
  let kills = readKills(files);
  const close = keepLooking(() => {
    const now = look();
    if (now === seen) return;
    seen = now;
    kills = readKills(files);
    onChange(kills);
  });
  return {
    kills: () => kills,
    isKilled: (agent) => kills.length > 0 && killOf(kills, agent) !== null,
    close,
  };
}

function killsIn(file: string): Kill[] {
  const damaged = (damage: string): Kill[] => [
    { agent: null, since: null, by: null, reason: null, file, damage },
  ];
  try {
    const link = lstatSync(file, { throwIfNoEntry: false });
    if (link === undefined) return [];
    if (link.isDirectory()) return damaged('it is a folder');
    const text = readKillFile(file);
    if (text === null) return damaged('it is no ordinary file');
    if (text.trim() === '') return damaged('it is empty');
    return killsOf(JSON.parse(text), file) ?? damaged('it is damaged');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return damaged(code === undefined ? 'it is damaged' : `it cannot be read (${code})`);
  }
}

/** Null for what is no file of a sane size: a pipe would block, a device never end. */
function readKillFile(file: string): string | null {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile() || stats.size > LARGEST_FILE) return null;
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(fd));
  } finally {
    closeSync(fd);
  }
}

/** Null for anything but what we would write ourselves. */
function killsOf(value: unknown, file: string): Kill[] | null {
  if (!hasExactly(value, ['version', 'killed']) || value.version !== 1) return null;
  if (!Array.isArray(value.killed) || value.killed.length === 0) return null;
  const kills = value.killed.map((item: unknown): Kill | null => {
    if (!hasExactly(item, ['agent', 'since', 'by', 'reason'])) return null;
    const { agent, since, by, reason } = item;
    if (typeof by !== 'string' || typeof since !== 'string' || Number.isNaN(Date.parse(since))) return null;
    if ((agent !== null && typeof agent !== 'string') || (reason !== null && typeof reason !== 'string'))
      return null;
    return { agent, since: Date.parse(since), by, reason, file, damage: null };
  });
  return kills.every((kill) => kill !== null) ? kills : null;
}

function hasExactly<T extends string>(value: unknown, keys: readonly T[]): value is Record<T, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  return Object.keys(value).sort().join(' ') === [...keys].sort().join(' ');
}
