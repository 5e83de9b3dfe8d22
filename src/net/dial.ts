/**
 * Connecting to one of several addresses that have already been judged: happy eyeballs (RFC 8305), families
 * interleaved, a new attempt every 250 ms or as soon as one fails, the first that connects wins.
 */
import type { Address } from '../names/address.ts';
import { nativeHandlers, Socket } from './socket.ts';

/** RFC 8305 section 5, "Connection Attempt Delay". */
const ATTEMPT_DELAY = 250;

export interface DialOptions {
  /** Milliseconds for all attempts together. */
  timeout: number;
}

/** `detail` is for the record: an errno name such as ECONNREFUSED, or `timeout`. */
export type Dialled = ({ ok: true; socket: Socket; address: Address } | { ok: false; detail: string }) & {
  /** Resolves when the kernel has given up on the other attempts, which takes minutes; left out where there are none. */
  pending?: Promise<void>;
};

/** Never rejects. At least one address is expected; none at all fails with `no address`. */
export function dial(addresses: readonly Address[], port: number, options: DialOptions): Promise<Dialled> {
  return new Promise((resolve) => {
    new Dialling(interleave(addresses), port, options, resolve).next();
  });
}

/**
 * Attempts cannot be taken back before the kernel gives up (Bun hands out no socket until it is connected),
 * so a losing or late one is reset as soon as it connects.
 */
class Dialling {
  #at = 0;
  #pending = 0;
  #done = false;
  #lastFailure = 'no address';
  #deadline: Timer;
  #stagger: Timer | undefined;
  /** Called when nothing is pending any more. */
  #onSettled = () => {};

  constructor(
    private readonly addresses: readonly Address[],
    private readonly port: number,
    options: DialOptions,
    private readonly resolve: (dialled: Dialled) => void,
  ) {
    this.#deadline = setTimeout(() => this.#finish({ ok: false, detail: 'timeout' }), options.timeout);
  }

  next(): void {
    clearTimeout(this.#stagger);
    if (this.#done) return;
    const address = this.addresses[this.#at++];
    if (address === undefined) {
      if (this.#pending === 0) this.#finish({ ok: false, detail: this.#lastFailure });
      return;
    }
    this.#pending++;
    this.#attempt(address);
    if (this.#at < this.addresses.length) this.#stagger = setTimeout(() => this.next(), ATTEMPT_DELAY);
  }

  #attempt(address: Address): void {
    const attempt: Attempt = { dialling: this, address };
    const where = { hostname: address.text, port: this.port, allowHalfOpen: true };
    Bun.connect<Socket>({ ...where, data: attempt, socket: HANDLERS } as never).catch((error: unknown) => {
      this.#pending--;
      this.#lastFailure = failureText(error);
      if (this.#done && this.#pending === 0) this.#onSettled();
      this.next();
    });
  }

  connected(socket: Socket, address: Address): void {
    this.#pending--;
    if (!this.#done) {
      this.#finish({ ok: true, socket, address });
      return;
    }
    socket.reset();
    if (this.#pending === 0) this.#onSettled();
  }

  #finish(dialled: Dialled): void {
    if (this.#done) return;
    this.#done = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#stagger);
    if (this.#pending > 0)
      dialled.pending = new Promise((resolve) => {
        this.#onSettled = resolve;
      });
    this.resolve(dialled);
  }
}

interface Attempt {
  dialling: Dialling;
  address: Address;
}

/** Made once: until it is connected, a native socket's `data` is its attempt. */
const HANDLERS = nativeHandlers((native) => {
  const { dialling, address } = native.data as unknown as Attempt;
  const socket = new Socket(native, false);
  native.data = socket;
  dialling.connected(socket, address);
});

function failureText(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'failed';
}

/** RFC 8305 section 4: the families take turns, beginning with the first answer's. */
function interleave(addresses: readonly Address[]): readonly Address[] {
  if (addresses.length < 2) return addresses;
  const first = addresses.filter((address) => address.family === addresses[0]!.family);
  const second = addresses.filter((address) => address.family !== addresses[0]!.family);
  const turns: Address[] = [];
  for (let i = 0; i < Math.max(first.length, second.length); i++) {
    if (first[i] !== undefined) turns.push(first[i]!);
    if (second[i] !== undefined) turns.push(second[i]!);
  }
  return turns;
}
