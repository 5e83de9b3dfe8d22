/** A listener that clients use as their proxy: HTTP (CONNECT and absolute URLs) and SOCKS5 on one port. */
import type { Range } from '../names/range.ts';

export interface ProxyListenerOptions {
  /** A listening socket that somebody else opened (it belongs to the listener from now on), or where to listen. */
  where: { fd: number } | { path: string } | { hostname: string; port: number };
  /** TLS between the client and the proxy (an `https://` proxy). PEM text. */
  tls?: { certificate: string; key: string };
  /** Balancers there must begin with a PROXY protocol header, version 2; nobody else may. */
  proxyProtocol?: readonly Range[];
  /** Whoever connects here is this agent. */
  agent?: string | null;
  /** Unique on this machine. Several listeners of one process share it. */
  session: string;
}
