/**
 * What every call of the program tells, whatever was asked: that the policy does not parse (fences that run
 * keep the one before it, so nobody would notice otherwise), and that messages about alerts wait.
 */
import { statSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { pathsOf } from '../base/paths.ts';
import { say } from './output.ts';

/** These load the policy themselves and fail, or have nothing to do with one. */
const EXEMPT = new Set(['list', 'check', 'explain', 'add', 'remove', 'doctor', 'env', undefined]);
/** These do too, but for `--policy FILE`. */
const LOADS_OWN = new Set([
  ...['run', 'serve', 'agents list'],
  ...['list', 'check', 'test', 'replay', 'ack'].map((word) => `alerts ${word}`),
]);
/** Reading a larger file takes longer than most commands; the commands that need it read it. */
const LARGEST_FILE = 1 << 20;

export async function warnOfBrokenPolicy(words: readonly string[]): Promise<void> {
  if (words[0] !== 'egress' || EXEMPT.has(words[1]) || words.includes('--help') || words.includes('-h'))
    return;
  const loadsOwn = LOADS_OWN.has(words[1]!) || LOADS_OWN.has(`${words[1]} ${words[2]}`);
  if (loadsOwn && !words.includes('--policy')) return;
  const paths = pathsOf();
  const sizes = [paths.policy, paths.machinePolicy].map(sizeOf).filter((size) => size !== null);
  if (sizes.length === 0 || Math.max(...sizes) > LARGEST_FILE) return;
  try {
    const { loadPolicy } = await import('../config/load.ts');
    loadPolicy({ paths });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const first = error.message.split('\n')[0]!;
    say(`the policy is broken, and fences that run keep the one before it: ${first}`);
  }
}

export async function warnOfWaitingMessages(words: readonly string[]): Promise<void> {
  if (words[0] !== 'egress' || words.includes('--help') || words.includes('-h')) return;
  // It tells them one by one.
  if (words[1] === 'alerts' && words[2] === 'deliver') return;
  const { waitingMessages } = await import('./waiting.ts');
  const given = words.indexOf('--policy');
  for (const text of await waitingMessages(pathsOf(), given < 0 ? undefined : words[given + 1])) say(text);
}

/** Octets; null for no file, 0 for one that cannot be seen. */
function sizeOf(file: string): number | null {
  try {
    return statSync(file, { throwIfNoEntry: false })?.size ?? null;
  } catch {
    return 0;
  }
}
