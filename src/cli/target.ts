/** `HOST` or `HOST:PORT` as a person types it, with an explanation for what people type instead. */
import { Failure } from '../base/failure.ts';
import { refanged } from '../names/defanged.ts';
import { printable } from '../names/display.ts';
import { type Host, parseHost } from '../names/host.ts';
import { readPattern } from '../policy/pattern.ts';

export const DEFAULT_PORT = 443;

/** As a gateway reads it: one with a zero before it is another spelling, and refused. */
export function parsePort(text: string): number {
  const port = /^[1-9][0-9]{0,4}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  const meant = Number(/^0+([1-9][0-9]{0,4})$/.exec(text)?.[1] ?? 0);
  const fix = meant >= 1 && meant <= 65_535 ? `Write ${meant}.` : undefined;
  throw new Failure('bad-port', `'${printable(text)}' is not a port.`, fix);
}

/** Throws a Failure that says what is wrong and what was probably meant. */
export function parseTarget(words: string): { host: Host; port: number | null } {
  // As our own messages write it, too.
  const text = refanged(words);
  const bracketed = /^(\[[^\]]*\])(?::(.*))?$/.exec(text);
  const colons = text.split(':').length - 1;
  const [, name, port] = bracketed ?? (colons === 1 ? /^([^:]*):(.*)$/.exec(text)! : [text, text, undefined]);
  const host = parseHost(name!);
  if (host === null || text.includes('/')) throw badHost(text);
  return { host, port: port === undefined ? null : parsePort(port) };
}

/** What is wrong with text that should name a host, and what was probably meant. */
export function badHost(text: string): Failure {
  const result = readPattern(text);
  const shown = printable(text);
  if (!result.ok)
    return new Failure(
      'bad-host',
      `'${shown}' is not a host: ${printable(result.message)}.`,
      result.fix ?? undefined,
    );
  return new Failure('bad-host', `'${shown}' is not one host.`, 'Name a single host or address.');
}
