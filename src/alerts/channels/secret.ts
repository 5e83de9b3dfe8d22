/** Secrets of channels, read when they are needed and kept nowhere. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { printable } from '../../names/display.ts';
import type { Secret } from '../../policy/alerts/channel.ts';

const LONGEST = 64 * 1024;
/** Under this prefix the program starts with variables that its runtime would obey. */
const ASIDE = 'CLAWCTL_ENV_';
const SIGNING = 'whsec_';

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

/** Characters of a foreign text that are kept for the record. */
const MOST_TEXT = 200;
/** A text may be cut within a secret; from so many characters on the beginning of one is taken for it. */
const SHORTEST_START = 4;
/** Shorter parts of a URL say nothing, and would be found in ordinary words. */
const SHORTEST_PART = 8;

/** What a server says, as it is recorded. Secrets go first: half of one is not found any more. */
export function excerptOf(text: string, secrets: readonly string[]): string {
  return printable(withoutSecrets(text, secrets).trim()).slice(0, MOST_TEXT);
}

/** The text without any of the secrets, or what tells of one, should a server have sent it back. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const parts = [...new Set(secrets.flatMap(partsOf))].sort((a, b) => b.length - a.length);
  if (parts.length === 0) return text;
  const whole = new RegExp(parts.map((part) => RegExp.escape(part)).join('|'), 'gi');
  const rest = text.replace(whole, '…');
  const start = Math.max(0, ...parts.map((part) => lengthOfStart(rest, part)));
  return start === 0 ? rest : `${rest.slice(0, -start)}…`;
}

/** The secret as a server may send it back: of a URL also its path, and what only its owner knows of that. */
function partsOf(secret: string): string[] {
  const parts = [secret];
  if (secret.startsWith(SIGNING)) parts.push(secret.slice(SIGNING.length));
  const url = URL.parse(secret);
  if (url !== null && /^https?:$/.test(url.protocol)) {
    const { href, pathname, search } = url;
    const named = [...pathname.split('/'), ...search.slice(1).split(/[&=]/)];
    parts.push(href, `${pathname}${search}`, pathname, ...named);
  }
  const [, ...more] = parts.flatMap((part) => [part, decoded(part)]);
  return [secret, ...more.filter((part) => part.length >= SHORTEST_PART)].filter(({ length }) => length >= 4);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part.replaceAll('+', ' '));
  } catch {
    return part;
  }
}

/** How much of the text's end is the beginning of it. */
function lengthOfStart(text: string, part: string): number {
  const end = text.slice(-part.length).toLowerCase();
  const start = part.toLowerCase();
  for (let length = end.length; length >= SHORTEST_START; length--)
    if (start.startsWith(end.slice(-length))) return length;
  return 0;
}
