/** A client that says things octet by octet, and keeps all that it hears. */
import { connect, type Socket } from 'node:net';

export class Client {
  /** Latin-1. */
  heard = '';
  /** How the other side ended it; null while it did not. */
  end: 'closed' | 'reset' | null = null;
  readonly #socket: Socket;
  #wake: () => void = () => {};

  /** `from`: the address that the other side sees. */
  constructor(port: number, from = '127.0.0.1') {
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      localAddress: from,
      noDelay: true,
      allowHalfOpen: true,
    });
    this.#socket.on('data', (bytes) => {
      this.heard += bytes.toString('latin1');
      this.#wake();
    });
    this.#socket.on('end', () => {
      this.end ??= 'closed';
      this.#wake();
    });
    this.#socket.on('error', () => {
      this.end ??= 'reset';
      this.#wake();
    });
    this.#socket.on('close', () => {
      this.end ??= 'closed';
      this.#wake();
    });
  }

  say(octets: string | Uint8Array): void {
    if (!this.#socket.destroyed)
      this.#socket.write(typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets);
  }

  shut(): void {
    this.#socket.end();
  }

  /** Waits until it holds, it ended, or that many milliseconds have passed without an octet; says whether it holds. */
  async until(holds: (heard: string) => boolean, patience: number): Promise<boolean> {
    while (!holds(this.heard) && this.end === null) {
      const length = this.heard.length;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, patience);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (this.heard.length === length) break;
    }
    return holds(this.heard);
  }

  leave(): void {
    this.#socket.destroy();
  }
}
