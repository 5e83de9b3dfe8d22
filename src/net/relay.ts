/** Carrying bytes between two connections until both are done. */
import type { Ending, Socket, SocketHandler } from './socket.ts';

/**
 * Two sockets joined: back-pressure by pausing the faster side (so at most one chunk, 512 KiB, waits per
 * direction), FIN passed on as FIN after the bytes before it, RST as RST. Takes over as handler of both; bytes
 * that arrived earlier must have been written before.
 */
export class Relay implements SocketHandler {
  constructor(
    readonly left: Socket,
    readonly right: Socket,
    private readonly onClosed: (ending: Ending) => void,
  ) {
    left.handler = this;
    right.handler = this;
  }

  onData(from: Socket, bytes: Uint8Array): void {
    if (!this.#other(from).write(bytes)) from.pause();
  }

  onDrain(socket: Socket): void {
    this.#other(socket).resume();
  }

  onEnd(from: Socket): void {
    this.#other(from).end();
  }

  onClose(socket: Socket, ending: Ending): void {
    const other = this.#other(socket);
    if (ending === 'reset') other.reset();
    if (!other.open) this.onClosed(ending);
  }

  #other(socket: Socket): Socket {
    return socket === this.left ? this.right : this.left;
  }
}
