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

/** Accepts on a listening TCP socket. The descriptor belongs to the listener from now on. */
export function listenOn(fd: number, accept: Accept): Listener {
  return listen({ fd }, accept);
}

/** Listens on an address; port 0 lets the kernel choose. */
export function listenAt(hostname: string, port: number, accept: Accept): Listener {
  return listen({ hostname, port }, accept);
}

function listen(where: { fd: number } | { hostname: string; port: number }, accept: Accept): Listener {
  const listener = Bun.listen<Socket>({
    ...where,
    allowHalfOpen: true,
    socket: nativeHandlers((native) => {
      const socket = new Socket(native);
      native.data = socket;
      socket.handler = accept(socket);
    }),
  } as never); // `fd` is missing from Bun's types

  return {
    port: listener.port ?? 0,
    close: () => listener.stop(),
  };
}
