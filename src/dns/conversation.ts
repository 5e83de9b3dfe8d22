/** The stub over TCP: length-prefixed messages, pipelined (RFC 1035 section 4.2.2, RFC 7766). */
import type { Socket, SocketHandler } from '../net/socket.ts';
import type { Stub } from './stub.ts';

/** A question is at most 271 octets; the rest is for EDNS options. */
const MESSAGE_MAX = 4_096;
const PREFIX = 2;

/**
 * One TCP connection. Questions are answered one after another; while an answer waits to be taken nothing is
 * read, so a peer that asks without listening fills its own buffers and not ours.
 */
export class Conversation implements SocketHandler {
  #unread: Uint8Array = new Uint8Array(0);
  #waiting = false;
  #ended = false;
  #timer: Timer;

  constructor(
    private readonly stub: Stub,
    socket: Socket,
    silence: number,
    private readonly closed: () => void,
  ) {
    this.#timer = setTimeout(() => socket.reset(), silence);
  }

  onData(socket: Socket, bytes: Uint8Array): void {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    this.#answer(socket);
  }

  onDrain(socket: Socket): void {
    this.#waiting = false;
    this.#timer.refresh();
    this.#answer(socket);
    if (!this.#waiting) socket.resume();
  }

  onEnd(socket: Socket): void {
    this.#ended = true;
    if (!this.#waiting) socket.end();
  }

  onClose(): void {
    clearTimeout(this.#timer);
    this.closed();
  }

  #answer(socket: Socket): void {
    let at = 0;
    while (socket.open && !this.#waiting && this.#unread.length - at >= PREFIX) {
      const length = (this.#unread[at]! << 8) | this.#unread[at + 1]!;
      const end = at + PREFIX + length;
      if (length <= MESSAGE_MAX && end > this.#unread.length) break;
      const question = this.#unread.subarray(at + PREFIX, end);
      const answer = length > MESSAGE_MAX ? null : this.stub.answer(question, 'tcp');
      if (answer === null) {
        socket.reset();
        return;
      }
      at = end;
      this.#timer.refresh();
      const prefix = Uint8Array.of(answer.length >> 8, answer.length & 255);
      if (!socket.write(Buffer.concat([prefix, answer]))) {
        this.#waiting = true;
        socket.pause();
      }
    }
    this.#unread = this.#unread.slice(at);
    if (this.#ended && !this.#waiting) socket.end();
  }
}
