/**
 * The file with the digests of the tokens by which agents prove who they are to a shared gateway. The tokens
 * themselves are shown once, when they are made, and stored nowhere: they are 32 random octets, so that a digest
 * gives nothing away.
 *
 *   {"version":1,"agents":{"support-bot":{"sha256":"9f86…","created":"2026-01-31T08:00:00.000Z"}}}
 *
 * What cannot be read holds no tokens: nobody is let in by what the file may once have said.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { isAgentName } from '../policy/agentname.ts';
import { adviceOf, codeOf, reasonOf } from './fileerror.ts';
import { keepLooking, stateOf } from './look.ts';

export interface Token {
  /** SHA-256 of the token's characters, 32 octets: what is stored. */
  digest: Uint8Array;
  /** When it was made, milliseconds since the epoch. */
  created: number;
}

/** By the name of the agent. */
export type Tokens = ReadonlyMap<string, Token>;

const NO_TOKENS: Tokens = new Map();
const LARGEST_FILE = 16 << 20;

/** SHA-256 of the characters as UTF-8. */
export function digestOf(token: string): Uint8Array {
  return new Bun.CryptoHasher('sha256').update(token).digest();
}

/** No file: no tokens. Throws a Failure `tokens-broken`. */
export function readTokens(file: string): Tokens {
  let text: string | null;
  try {
    text = readText(file);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw broken(file, reasonOf(error), adviceOf(error));
  }
  if (text === null) return NO_TOKENS;
  const tokens = parseTokens(text);
  if (tokens === null) throw broken(file, 'it is damaged', 'Move it away, and give every agent a new token.');
  return tokens;
}

export function tokensText(tokens: Tokens): string {
  const agents = Object.fromEntries(
    [...tokens].map(([agent, { digest, created }]) => [
      agent,
      { sha256: Buffer.from(digest).toString('hex'), created: new Date(created).toISOString() },
    ]),
  );
  return `${JSON.stringify({ version: 1, agents }, null, 2)}\n`;
}

export interface WatchedTokens {
  /** Those of the moment. Empty while the file cannot be read. */
  tokens(): Tokens;
  close(): void;
}

/**
 * Follows the file. `onChange` comes within 200 ms of what changed, so that live connections can be judged again;
 * `onBroken` in its place where the file holds no tokens any more because it cannot be read, also at once.
 */
export function watchTokens(
  file: string,
  onChange: (tokens: Tokens) => void,
  onBroken: (failure: Failure) => void,
): WatchedTokens {
  let tokens = NO_TOKENS;
  /** Returns why there are no tokens, or null. */
  const load = (): Failure | null => {
    try {
      tokens = readTokens(file);
      return null;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      tokens = NO_TOKENS;
      return error;
    }
  };
  let seen = stateOf(file).text;
  const failure = load();
  if (failure !== null) queueMicrotask(() => onBroken(failure));
  const close = keepLooking(() => {
    const now = stateOf(file).text;
    if (now === seen) return;
    seen = now;
    const failure = load();
    if (failure === null) onChange(tokens);
    else onBroken(failure);
  });
  return { tokens: () => tokens, close };
}

/** Null for no file. Whoever can write it can let himself in, so it has to be ours alone. */
function readText(file: string): string | null {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw broken(file, 'it is not a regular file');
    if (stats.size > LARGEST_FILE) throw broken(file, 'it is larger than 16 MiB');
    if (stats.uid !== process.getuid!() && stats.uid !== 0)
      throw broken(file, 'it belongs to another user', 'Make it yours, with chown.');
    if ((stats.mode & 0o022) !== 0) throw broken(file, 'others may write it', `Type: chmod 600 ${file}`);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/** Null for anything but what we write ourselves. */
function parseTokens(text: string): Tokens | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!hasExactly(value, ['version', 'agents']) || value.version !== 1) return null;
  const { agents } = value;
  if (typeof agents !== 'object' || agents === null || Array.isArray(agents)) return null;
  const tokens = new Map<string, Token>();
  for (const [agent, item] of Object.entries(agents)) {
    if (!isAgentName(agent) || !hasExactly(item, ['sha256', 'created'])) return null;
    const created = typeof item.created === 'string' ? Date.parse(item.created) : Number.NaN;
    if (typeof item.sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(item.sha256) || Number.isNaN(created))
      return null;
    tokens.set(agent, { digest: Buffer.from(item.sha256, 'hex'), created });
  }
  return tokens;
}

function hasExactly<T extends string>(value: unknown, keys: readonly T[]): value is Record<T, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  return Object.keys(value).sort().join(' ') === [...keys].sort().join(' ');
}

function broken(file: string, why: string, fix?: string): Failure {
  return new Failure('tokens-broken', `the tokens of agents in ${file} cannot be used: ${why}`, fix);
}
