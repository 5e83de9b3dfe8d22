/** `HOST` or `HOST:PORT` as a person types it, with an explanation for what people type instead. */
import { Failure } from '../base/failure.ts';
import { printable } from '../names/display.ts';
import { type Host, parseHost } from '../names/host.ts';

export const DEFAULT_PORT = 443;

export function parsePort(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65535) throw new Failure('bad-port', `'${printable(text)}' is not a port.`);
  return port;
}

/** Throws a Failure that says what is wrong and what was probably meant. */
export function parseTarget(text: string): { host: Host; port: number | null } {
  const bracketed = /^(\[[^\]]*\])(?::(.*))?$/.exec(text);
  const colons = text.split(':').length - 1;
  const [, name, port] = bracketed ?? (colons === 1 ? /^([^:]*):(.*)$/.exec(text)! : [text, text, undefined]);
  const host = parseHost(name!);
  if (host === null || text.includes('/')) throw badHost(text);
  return { host, port: port === undefined ? null : parsePort(port) };
}

/** What a person probably meant by text that is not a host. */
export function badHost(text: string): Failure {
  const shown = printable(text);
  const url = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/@]*@)?(\[[^\]]*\]|[^/:?#]*)/i.exec(text);
  if (url !== null && parseHost(url[1]!) !== null)
    return new Failure(
      'bad-host',
      `'${shown}' is a URL. Rules are about hosts: the path and the scheme are not visible in an encrypted connection.`,
      `Give the host alone: ${url[1]!.toLowerCase()}`,
    );
  const path = /^([^/]+)\/[^/]*/.exec(text);
  if (path !== null && parseHost(path[1]!) !== null && !/^[0-9.]+$/.test(path[1]!))
    return new Failure(
      'bad-host',
      `'${shown}' has a path.`,
      `Give the host alone: ${path[1]!.toLowerCase()}`,
    );
  const unicode = asciiForm(text);
  if (unicode !== null)
    return new Failure(
      'bad-host',
      `'${shown}' is not written in ASCII.`,
      `Give the form that is sent: ${unicode}`,
    );
  return new Failure(
    'bad-host',
    `'${shown}' is not a host name or address.`,
    'A host is a name such as api.example.com, *.example.com for the names below it, or an IP address.',
  );
}

function asciiForm(text: string): string | null {
  if (/^[\x00-\x7f]*$/.test(text)) return null;
  try {
    const { hostname } = new URL(`http://${text}/`);
    return parseHost(hostname) === null || !hostname.includes('xn--') ? null : hostname;
  } catch {
    return null;
  }
}
