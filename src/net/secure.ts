/**
 * TLS on a connection that began with something else, which is what a balancer's header makes of it: Bun's own
 * TLS sockets cannot be given the octets that were read too early. Slower than a TLS listener, and for this alone.
 */
import type { Duplex } from 'node:stream';
import type { SecureContext, TLSSocket } from 'node:tls';
import type { ListenerTls } from './listen.ts';
import { type Native, Socket } from './socket.ts';

/** What makes TLS sockets of one certificate; throws where it or its key is none. */
export function securing(tls: ListenerTls): (raw: Socket, first: Uint8Array) => Socket {
  const context = process
    .getBuiltinModule('node:tls')
    .createSecureContext({ cert: tls.certificate, key: tls.key });
  return (raw, first) => new Secured(raw, first, context).socket;
}

/** Stands between a raw socket and the one that is made of it, in the place of a native one. */
class Secured {
  readonly socket: Socket;
  readonly #stream: Duplex;
  readonly #tls: TLSSocket;
  /** Called when the raw socket takes more. */
  #onDrain = () => {};
  /** The stream keeps what it was given; more would only wait in it. */
  #isFull = false;

  constructor(
    private readonly raw: Socket,
    first: Uint8Array,
    secureContext: SecureContext,
  ) {
    this.socket = new Socket(this as unknown as Native, true);
    // Loaded where it is needed: every fenced command would wait for it.
    const { Duplex } = process.getBuiltinModule('node:stream');
    const { TLSSocket } = process.getBuiltinModule('node:tls');
    this.#stream = new Duplex({
      allowHalfOpen: true,
      read: () => raw.resume(),
      write: (chunk: Uint8Array, _encoding, done) => {
        if (raw.write(chunk)) done();
        else this.#onDrain = done;
      },
      final: (done) => {
        raw.end();
        done();
      },
    });
    raw.handler = {
      onData: (_raw, bytes) => {
        if (!this.#stream.push(bytes)) raw.pause();
      },
      onDrain: () => this.#onDrain(),
      onEnd: () => this.#stream.push(null),
      onClose: (_raw, ending) => {
        this.socket.nativeClosed(ending === 'reset' ? ending : undefined);
        this.#tls.destroy();
      },
    };
    this.#tls = new TLSSocket(this.#stream as never, {
      isServer: true,
      secureContext,
      ALPNProtocols: ['http/1.1'],
    });
    this.#tls.on('data', (bytes: Uint8Array) => this.socket.received(bytes));
    this.#tls.on('end', () => this.socket.peerEnded());
    this.#tls.on('drain', () => {
      this.#isFull = false;
      this.socket.writable();
    });
    this.#tls.on('error', () => raw.reset());
    if (first.length > 0) this.#stream.push(first);
  }

  // What `Socket` expects of a native one.

  get fd(): number {
    return this.raw.fd;
  }

  get remoteAddress(): string | undefined {
    return this.raw.remoteAddress;
  }

  write(bytes: Uint8Array): number {
    if (this.#isFull) return 0;
    this.#isFull = !this.#tls.write(bytes);
    return bytes.length;
  }

  shutdown(): void {
    this.#tls.end();
  }

  terminate(): void {
    this.raw.reset();
  }

  pause(): void {
    this.#tls.pause();
  }

  resume(): void {
    this.#tls.resume();
  }
}
