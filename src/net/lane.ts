/**
 * One direction of a relay. Once much has passed, and nobody has to look at what passes, the kernel carries it
 * without us (carrier.ts) until something else than bytes comes.
 */
import { type Back, carry, type Transfer } from './carrier.ts';
import type { Socket } from './socket.ts';

/** Octets until the next attempt after one that came back. */
const PAUSE = 8 << 20;

export class Lane {
  #passed = 0;
  #enough = 0;
  /** From the moment that the sending side is paused for it until the lane is ours again. */
  #busy = false;
  #transfer: Transfer | null = null;
  /** Who waits for the lane to be ours again. */
  #waiting: (() => void)[] = [];

  /** `onBack`: what was carried is ours again, with the side that broke, if any. The sending side is still paused. */
  constructor(
    private readonly from: Socket,
    private readonly to: Socket,
    private readonly onBack: (from: Socket, rest: Uint8Array, broken: Socket | null) => void,
  ) {}

  /** So many octets went this way, all of them taken by the kernel, and nobody needs to see those that follow. */
  passed(octets: number): void {
    this.#passed += octets;
    if (this.#passed < this.#enough || this.#busy) return;
    this.#busy = true;
    this.from.pause();
    // The runtime may be in the middle of reading, and deliver more in spite of the pause.
    setImmediate(() => this.#start());
  }

  /** Calls `then` once the lane is ours: now, or soon. */
  recall(then: () => void): void {
    if (!this.#busy) {
      then();
      return;
    }
    this.#waiting.push(then);
    this.stop();
  }

  stop(): void {
    this.#transfer?.stop();
  }

  #start(): void {
    const { from, to } = this;
    const fit = from.plain && to.plain && from.still && to.unsentBytes === 0 && this.#waiting.length === 0;
    if (fit) this.#transfer = carry(from.fd, to.fd, this.#moved, this.#back);
    if (this.#transfer === null) {
      this.#free(NOTHING, null);
      return;
    }
    from.sharers++;
    to.sharers++;
  }

  #moved = (octets: number): void => {
    this.#passed += octets;
    this.from.bytesIn += octets;
    this.to.bytesOut += octets;
  };

  #back = ({ rest, why }: Back): void => {
    const { from, to } = this;
    this.#transfer = null;
    from.sharers--;
    to.sharers--;
    from.bytesIn += rest.length;
    this.#free(rest, why === 'from-failed' ? from : why === 'to-failed' ? to : null);
  };

  #free(rest: Uint8Array, broken: Socket | null): void {
    this.#busy = false;
    this.#enough = this.#passed + PAUSE;
    this.onBack(this.from, rest, broken);
    for (const then of this.#waiting.splice(0)) then();
  }
}

const NOTHING = new Uint8Array(0);
