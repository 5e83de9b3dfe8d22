/** A connected TCP socket that somebody else opened. */
import { nativeHandlers, Socket } from './socket.ts';

const HANDLERS = nativeHandlers((native) => {
  const socket = new Socket(native, false);
  const { resolve } = native.data as unknown as PromiseWithResolvers<Socket>;
  native.data = socket;
  resolve(socket);
});

/** The descriptor belongs to the socket from now on. Rejects where it cannot be used. */
export async function adoptSocket(fd: number): Promise<Socket> {
  const adopted = Promise.withResolvers<Socket>();
  await Bun.connect<Socket>({ fd, allowHalfOpen: true, data: adopted, socket: HANDLERS } as never);
  return adopted.promise;
}
