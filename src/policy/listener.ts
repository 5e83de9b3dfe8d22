/** Where a gateway listens, as a policy file or the command line says it. */
import type { Address } from '../names/address.ts';
import { authority } from '../names/host.ts';
import type { Range } from '../names/range.ts';

export type ListenEntry = ProxyEntry | TransparentEntry | DnsEntry;

export interface Endpoint {
  address: Address;
  /** 0, which only the command line may say: a free one. */
  port: number;
}

/** An entry of a file, and where it stands. */
export interface Listen {
  entry: ListenEntry;
  line: number;
  column: number;
}

/** For clients that know of a proxy: HTTP and SOCKS5 on one port. */
export interface ProxyEntry {
  kind: 'proxy';
  where: Endpoint | { path: string };
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

/** `proxy 127.0.0.1:8880`: two entries with the same text cannot both be served. */
export function placeOf({ kind, where }: ListenEntry): string {
  // DNS is UDP too; the others are TCP alone, whatever they do with it.
  return `${kind === 'dns' ? 'dns' : 'tcp'} ${'path' in where ? `unix:${where.path}` : authorityOf(where)}`;
}

function authorityOf({ address, port }: Endpoint): string {
  return authority({ kind: 'address', address }, port);
}
