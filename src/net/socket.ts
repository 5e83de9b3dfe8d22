/**
 * One TCP connection as the rest of the program sees it. Bun's own sockets have edges that this file takes
 * off, each met in practice and kept by a test:
 * - a write may be taken in part, or fail with -1 without an `error` event: the rest is kept here, a failure
 *   is a reset;
 * - bytes can arrive after `pause` (a reset flushes what the kernel held): they wait here until `resume`;
 * - `end` can come while written bytes still wait: the FIN that answers it follows them;
 * - `close` can come without `end`: the handler still sees `onEnd` first unless the peer reset.
 */
import type { Socket as BunSocket, SocketHandler as BunSocketHandler } from 'bun';
import { breakOff } from '../os/sockets.ts';

/** How a connection came to its end: both sides finished, or a RST (theirs, ours, or any other error). */
export type Ending = 'closed' | 'reset';

/** What happens on a connection. One object may serve several sockets: each call says which. */
export interface SocketHandler {
  /** Bytes from the peer, in order, never while paused. They belong to the receiver. */
  onData(socket: Socket, bytes: Uint8Array): void;
  /** Everything that `write` kept has left; called only after a `write` that returned false. */
  onDrain(socket: Socket): void;
  /** The peer will send no more. Our own direction stays open until `end`. */
  onEnd(socket: Socket): void;
  /** Exactly once, and the last call. */
  onClose(socket: Socket, ending: Ending): void;
}

export type Native = BunSocket<Socket>;

const NOTHING: SocketHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

export class Socket {
  /** Octets of payload received, also those that wait for `resume`. */
  bytesIn = 0;
  /** Octets of payload that the kernel took. */
  bytesOut = 0;
  /** False from the moment of `onClose` or of our own `reset`. */
  open = true;
  /** How many besides this socket hold a descriptor of the connection, which would outlive our closing it. */
  sharers = 0;
  /** Who is told. May be replaced at any time, for instance between the first bytes and the relay. */
  handler: SocketHandler = NOTHING;

  readonly #native: Native;
  /** Written but not yet taken by the kernel, oldest first. */
  #unsent: Uint8Array[] | null = null;
  #unsentBytes = 0;
  /** Received while paused, oldest first. */
  #held: Uint8Array[] | null = null;
  #paused = false;
  #peerEnded = false;
  #endDelivered = false;
  #ending = false;
  #finSent = false;

  /** `encrypted`: the runtime speaks TLS with the peer, so what we read and write is not what is on the wire. */
  constructor(
    native: Native,
    private readonly encrypted: boolean,
  ) {
    this.#native = native;
  }

  /** The descriptor, for socket options; valid while `open`. */
  get fd(): number {
    return (this.#native as unknown as { fd: number }).fd;
  }

  get localAddress(): string {
    return this.#native.localAddress;
  }

  get localPort(): number {
    return this.#native.localPort;
  }

  /** Undefined for a unix socket. */
  get remoteAddress(): string | undefined {
    return this.#native.remoteAddress;
  }

  /** True while bytes go both ways, and what is on the wire is what is read and written here. */
  get plain(): boolean {
    return this.open && !this.#peerEnded && !this.#ending && !this.encrypted;
  }

  /** True once `pause` has taken hold and everything received before has been delivered. */
  get still(): boolean {
    return this.#paused && this.#held === null;
  }

  /** Octets written but not yet taken by the kernel. */
  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  /**
   * Sends bytes, or keeps what the kernel does not take (no copy: do not change them afterwards). False means
   * "stop until onDrain"; nothing is lost either way. After `end`, or on a closed socket, nothing is sent.
   */
  write(bytes: Uint8Array): boolean {
    return this.#write(bytes, false);
  }

  /** The same for bytes that are somebody else's again afterwards: what has to be kept is copied. */
  writeBorrowed(bytes: Uint8Array): boolean {
    return this.#write(bytes, true);
  }

  #write(bytes: Uint8Array, borrowed: boolean): boolean {
    if (!this.open || this.#ending) return true;
    const taken = this.#unsentBytes > 0 ? 0 : this.#send(bytes);
    if (taken === bytes.length || !this.open) return true;
    const rest = taken === 0 ? bytes : bytes.subarray(taken);
    this.#keep(borrowed ? new Uint8Array(rest) : rest);
    return false;
  }

  /** Sends what is kept, then FIN. Reading goes on; the connection closes when the peer has ended too. */
  end(): void {
    if (!this.open || this.#ending) return;
    this.#ending = true;
    if (this.#unsentBytes === 0) this.#sendFin();
  }

  /** Closes at once with RST, in both directions; what was not sent is dropped. `onClose` follows. */
  reset(): void {
    if (!this.open) return;
    if (this.sharers > 0) breakOff(this.fd);
    this.open = false; // so that the native close, which may come at once, is not told twice
    this.#native.terminate();
    this.#closed('reset');
  }

  pause(): void {
    if (this.#paused || !this.open) return;
    this.#paused = true;
    this.#native.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.#deliverHeld()) return;
    if (this.#peerEnded) this.#deliverEnd();
    if (this.open && !this.#paused) this.#native.resume();
  }

  // What Bun reports, by way of `nativeHandlers`.

  received(bytes: Uint8Array): void {
    this.bytesIn += bytes.length;
    if (!this.#paused) this.handler.onData(this, bytes);
    else if (this.#held === null) this.#held = [bytes];
    else this.#held.push(bytes);
  }

  writable(): void {
    while (this.#unsent !== null) {
      const next = this.#unsent[0]!;
      const taken = this.#send(next);
      if (!this.open) return;
      this.#unsentBytes -= taken;
      if (taken < next.length) {
        this.#unsent[0] = next.subarray(taken);
        return;
      }
      this.#unsent.shift();
      if (this.#unsent.length === 0) this.#unsent = null;
      if (this.#unsent !== null) continue;
      if (this.#ending) this.#sendFin();
      else this.handler.onDrain(this);
    }
  }

  peerEnded(): void {
    this.#peerEnded = true;
    if (!this.#paused) this.#deliverEnd();
  }

  nativeClosed(error: unknown): void {
    if (!this.open) return;
    // Closed without an error although we had not finished: the other side is gone, and what we still had is lost.
    const lost = (error !== undefined && error !== null) || this.#unsentBytes > 0 || !this.#finSent;
    if (!lost) {
      do this.#paused = false;
      while (!this.#deliverHeld()); // no use in a pause any more
      this.#deliverEnd();
    }
    if (this.open) this.#closed(lost ? 'reset' : 'closed');
  }

  /** False if the handler paused again before everything was delivered. */
  #deliverHeld(): boolean {
    while (this.#held !== null) {
      const next = this.#held.shift();
      if (next === undefined) {
        this.#held = null;
        break;
      }
      this.handler.onData(this, next);
      if (this.#paused) return false;
    }
    return true;
  }

  #deliverEnd(): void {
    if (this.#endDelivered || !this.open) return;
    this.#endDelivered = true;
    this.handler.onEnd(this);
  }

  #closed(ending: Ending): void {
    this.open = false;
    this.#unsent = null;
    this.#unsentBytes = 0;
    this.#held = null;
    this.handler.onClose(this, ending);
  }

  #keep(bytes: Uint8Array): void {
    if (this.#unsent === null) this.#unsent = [bytes];
    else this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
  }

  /** How many octets the kernel took. A failed write is a reset, because Bun reports it in no other way. */
  #send(bytes: Uint8Array): number {
    const taken = this.#native.write(bytes);
    if (taken < 0) {
      this.reset();
      return 0;
    }
    this.bytesOut += taken;
    return taken;
  }

  #sendFin(): void {
    this.#finSent = true;
    this.#native.shutdown();
  }
}

/** Handlers shared by all sockets: the native socket's `data` is our Socket, so no closure is made per connection. */
export function nativeHandlers(opened: (native: Native) => void): BunSocketHandler<Socket, 'uint8array'> {
  return {
    binaryType: 'uint8array',
    open: opened,
    data: (native, bytes) => native.data.received(bytes),
    drain: (native) => native.data.writable(),
    // Without it, `open` would come after the handshake, and whoever never finishes one would not be seen at all.
    handshake: (native, isDone) => {
      if (!isDone && native.data instanceof Socket) native.data.reset();
    },
    end: (native) => native.data.peerEnded(),
    // A connection that never came about has no Socket yet.
    close: (native, error) => {
      if (native.data instanceof Socket) native.data.nativeClosed(error);
    },
    // A handler threw: a bug costs its own connection, never another one.
    error: (native) => {
      if (native.data instanceof Socket) native.data.reset();
    },
  };
}
