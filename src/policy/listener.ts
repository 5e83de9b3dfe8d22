/** Where a gateway listens, as a policy file or the command line says it. */
import { type Address, parseAddress } from '../names/address.ts';
import { classOf } from '../names/addressclass.ts';
import { authority } from '../names/host.ts';
import type { Range } from '../names/range.ts';

export type ListenEntry = ProxyEntry | TransparentEntry | DnsEntry;

export interface Endpoint {
  address: Address;
  /** 0, which only the command line may say: a free one. */
  port: number;
}

export type Place = Endpoint | { path: string };

/** For clients that know of a proxy: HTTP and SOCKS5 on one port. */
export interface ProxyEntry {
  kind: 'proxy';
  where: Place;
  /** Absolute paths of PEM files. */
  tls: { certificate: string; key: string } | null;
  /** Balancers there begin with a PROXY protocol header, version 2. */
  proxyProtocol: readonly Range[];
  /** Whoever connects here is this agent. */
  agent: string | null;
}

/** For connections that were redirected, with their original destination. */
export interface TransparentEntry {
  kind: 'transparent';
  where: Endpoint;
  agent: string | null;
}

/** For questions of clients whose connections come in by the transparent listener. UDP and TCP. */
export interface DnsEntry {
  kind: 'dns';
  where: Endpoint;
  agent: string | null;
}

/** `127.0.0.1:8880` or `unix:/run/proxy.sock`. Two entries of the same place cannot both be served. */
export function placeOf({ where }: ListenEntry): string {
  if ('path' in where) return `unix:${where.path}`;
  return authority({ kind: 'address', address: where.address }, where.port);
}

export interface NoPlace {
  message: string;
  fix: string;
}

export function isPlace(result: Place | NoPlace): result is Place {
  return !('message' in result);
}

/** The longest path that `sockaddr_un` holds with its NUL (unix(7)). */
const LONGEST_PATH = 107;
const USUAL_PORT = { proxy: 8880, transparent: 15001, dns: 53 } as const;

/** An address with its port, or `unix:` and a path. `freePort`: whether port 0 may be said. */
export function readPlace(text: string, kind: ListenEntry['kind'], freePort = false): Place | NoPlace {
  const usual = USUAL_PORT[kind];
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  const refuse = (message: string, fix: string): NoPlace => ({ message: `'${shown}' ${message}`, fix });
  if (text.startsWith('unix:')) {
    if (kind !== 'proxy')
      return refuse('is a unix socket, which nothing is redirected to', `Such as 10.0.0.1:${usual}.`);
    if (!text.startsWith('unix:/'))
      return refuse('is not a whole path, from / on', 'Such as unix:/run/clawctl/proxy.sock.');
    return (
      readPath(text.slice('unix:'.length)) ??
      refuse(`is not a path of at most ${LONGEST_PATH} characters`, 'Such as unix:/run/clawctl/proxy.sock.')
    );
  }
  const [, host, digits] = /^(\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(text) ?? [];
  const address = host === undefined ? null : parseAddress(host.replace(/^\[|\]$/g, ''));
  if (address === null || (address.family === 6) !== host!.startsWith('['))
    return refuse('is not an address with a port', adviceFor(text, usual));
  const port = Number(digits);
  if (String(port) !== digits || port > 65_535 || (port === 0 && !freePort))
    return refuse(
      'has no port from 1 to 65535',
      `Such as ${authority({ kind: 'address', address }, usual)}.`,
    );
  const addressClass = classOf(address);
  if (addressClass === 'multicast' || addressClass === 'broadcast')
    return refuse('cannot be listened on', 'Name an address of this machine.');
  return { address, port };
}

function readPath(path: string): { path: string } | null {
  const fits = new TextEncoder().encode(path).length <= LONGEST_PATH;
  return fits && /^\/[^\0-\x1f\x7f]*[^\0-\x1f\x7f/]$/.test(path) ? { path } : null;
}

/** What is probably meant: people write ports alone, names, and URLs. */
function adviceFor(text: string, usual: number): string {
  const address = parseAddress(text.replace(/^\[|\]$/g, ''));
  if (address !== null) {
    const whole = `"${authority({ kind: 'address', address }, usual)}"`;
    // Without brackets the last group may be meant as a port.
    const [, before, last] = /^([0-9a-f:.]+):(\d{1,5})$/i.exec(text) ?? [];
    const shorter = before === undefined ? null : parseAddress(before);
    const isPort = shorter !== null && Number(last) >= 1 && Number(last) <= 65_535;
    return isPort
      ? `Write "[${before}]:${last}", or ${whole} where all of it is the address.`
      : `Write ${whole}.`;
  }
  const port =
    /^(?:https?:\/\/)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\*)?:?(\d{1,5})\/?$/.exec(text)?.[1] ?? usual;
  return `Write 127.0.0.1:${port}, or 0.0.0.0:${port} for every address of this machine.`;
}

/** Whoever connects to some of them, without saying so. */
export const agentsOf = (entries: readonly ListenEntry[]): string[] =>
  entries.flatMap(({ agent }) => agent ?? []);
