/** Secrets of channels, read when they are needed and kept nowhere. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { type ChannelConfig, type Secret, secretsOf } from '../../policy/alerts/channel.ts';

const LONGEST = 64 * 1024;
/** Under this prefix the program starts with variables that its runtime would obey. */
const ASIDE = 'CLAWCTL_ENV_';

export type Read = { ok: true; value: string } | { ok: false; missing: string };

/** `missing` says what to set, and never holds any part of a secret. */
export function readSecret(
  secret: Secret,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Read {
  if ('env' in secret) {
    const value = environment[secret.env] ?? environment[ASIDE + secret.env];
    if (value !== undefined && value.trim() !== '') return usable(value, `the variable ${secret.env}`);
    return { ok: false, missing: `the variable ${secret.env} is not set` };
  }
  return readFile(secret.file);
}

/** The secrets that channels name as variables, and nothing else, become this thread's. */
export function takeVariables(
  environment: Readonly<Record<string, string>>,
  channels: ReadonlyMap<string, ChannelConfig>,
): void {
  for (const secret of [...channels.values()].flatMap(secretsOf)) {
    if (!('env' in secret)) continue;
    const value = environment[secret.env];
    if (value !== undefined) process.env[secret.env] = value;
  }
}

function readFile(file: string): Read {
  if (!isAbsolute(file)) return { ok: false, missing: `${file} is not an absolute path` };
  let fd: number;
  try {
    // A pipe or a terminal must neither block nor become ours.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { ok: false, missing: `the file ${file} cannot be read (${code})` };
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) return { ok: false, missing: `${file} is not a regular file` };
    const bytes = Buffer.alloc(LONGEST + 1);
    const length = readSync(fd, bytes, 0, bytes.length, 0);
    if (length > LONGEST) return { ok: false, missing: `the file ${file} is too long for a secret` };
    return usable(bytes.toString('utf8', 0, length), `the file ${file}`);
  } finally {
    closeSync(fd);
  }
}

/** A line break within it would become another header or another command of a protocol. */
function usable(text: string, where: string): Read {
  const value = text.trim();
  if (value === '') return { ok: false, missing: `${where} is empty` };
  if (/[\x00-\x1f\x7f]/.test(value)) return { ok: false, missing: `${where} holds more than one line` };
  return { ok: true, value };
}

/** The text without any of the secrets, should a server have sent one back. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => (secret.length < 4 ? rest : rest.replaceAll(secret, '…')), text);
}
