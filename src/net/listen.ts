/** Accepting connections, on a descriptor that somebody else opened or on an address. */
import { nativeHandlers, Socket, type SocketHandler } from './socket.ts';

export interface Listener {
  /** The port; 0 where only a descriptor was given and it has none. */
  readonly port: number;
  /** Accepts no more. Open connections stay. */
  close(): void;
}

/**
 * Called once per accepted connection, before any of its bytes; answers who handles it. The socket may be
 * paused, written to or reset at once.
 */
export type Accept = (socket: Socket) => SocketHandler;

/** A descriptor belongs to the listener from now on; port 0 lets the kernel choose; a path is a unix socket. */
export type Where = { fd: number } | { hostname: string; port: number } | { path: string };

/** PEM text. */
export interface ListenerTls {
  certificate: string;
  key: string;
}

/** RFC 7301 section 3.1: a list of names, each behind its length. */
const HTTP_1_1 = Buffer.from('\x08http/1.1');

/** Accepts on a listening TCP socket. */
export function listenOn(fd: number, accept: Accept): Listener {
  return listen({ fd }, accept);
}

/** Listens on an address. */
export function listenAt(hostname: string, port: number, accept: Accept): Listener {
  return listen({ hostname, port }, accept);
}

/** With `tls`, `accept` is called before the handshake, so that it can be given up; bytes come after it. */
export function listen(where: Where, accept: Accept, tls: ListenerTls | null = null): Listener {
  const listener = Bun.listen<Socket>({
    ...('path' in where ? { unix: where.path } : where),
    ...(tls === null ? {} : { tls: { cert: tls.certificate, key: tls.key, ALPNProtocols: HTTP_1_1 } }),
    allowHalfOpen: true,
    socket: nativeHandlers((native) => {
      const socket = new Socket(native, tls !== null);
      native.data = socket;
      socket.handler = accept(socket);
    }),
  } as never); // `fd` is missing from Bun's types

  return {
    port: listener.port ?? 0,
    close: () => listener.stop(),
  };
}
