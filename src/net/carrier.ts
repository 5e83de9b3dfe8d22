/**
 * Large transfers, carried by a thread of their own inside the kernel: a byte that nobody has to look at any more
 * needs no copy into this program and out again. The thread starts with the first of them.
 */
import { writeSync } from 'node:fs';
import { startWorker } from '../base/worker.ts';
import { duplicateDescriptor, openPipe } from '../os/descriptors.ts';

/** Transfers at once; more go on as they were. */
export const SLOTS = 32;
/** Octets of one command: what, slot, and for CARRY the sending and the receiving socket; four 32-bit integers. */
export const COMMAND = 16;
export const CARRY = 1;
const STOP = 2;
/** Milliseconds between looks at the counts. */
const COUNT = 200;

export interface Setup {
  /** The pipe with commands. */
  commands: number;
  /** For each slot, the octets that its transfer has moved: 64-bit floats. */
  counts: SharedArrayBuffer;
}

/** How a transfer came back. */
export interface Back {
  slot: number;
  /** Octets moved in all. */
  bytes: number;
  /** Taken from the sender, and not sent any more. */
  rest: Uint8Array;
  /** `ended`: the sender has sent everything. `failed`: that side broke, and the error has been taken from it. */
  why: 'ended' | 'silent' | 'stopped' | 'from-failed' | 'to-failed';
}

export interface Transfer {
  /** Asks for it back, which comes soon. */
  stop(): void;
}

interface Carried {
  moved: (bytes: number) => void;
  back: (back: Back) => void;
  /** Octets told of so far. */
  told: number;
}

class Carrier {
  readonly #carried = new Map<number, Carried>();
  readonly #worker = startWorker('net/carrier.worker.ts');
  readonly #commands: number;
  readonly #counts: Float64Array;
  #counting: Timer | undefined;

  constructor() {
    const [reading, writing] = openPipe();
    const counts = new SharedArrayBuffer(8 * SLOTS);
    this.#commands = writing;
    this.#counts = new Float64Array(counts);
    this.#worker.onmessage = ({ data }: MessageEvent<Back>) => this.#giveBack(data);
    this.#worker.unref();
    this.#worker.postMessage({ commands: reading, counts } satisfies Setup);
  }

  carry(from: number, to: number, moved: Carried['moved'], back: Carried['back']): Transfer | null {
    let slot = 0;
    while (this.#carried.has(slot)) slot++;
    if (slot === SLOTS) return null;
    this.#carried.set(slot, { moved, back, told: 0 });
    this.#counts[slot] = 0;
    this.#command(CARRY, slot, duplicateDescriptor(from), duplicateDescriptor(to));
    this.#counting ??= setInterval(() => this.#count(), COUNT);
    return { stop: () => this.#command(STOP, slot, 0, 0) };
  }

  #command(...words: [what: number, slot: number, from: number, to: number]): void {
    writeSync(this.#commands, new Uint8Array(Int32Array.from(words).buffer));
    this.#worker.postMessage('wake');
  }

  #count(): void {
    for (const [slot, carried] of this.#carried) tell(carried, this.#counts[slot]!);
  }

  #giveBack(back: Back): void {
    const carried = this.#carried.get(back.slot)!;
    this.#carried.delete(back.slot);
    if (this.#carried.size === 0) {
      clearInterval(this.#counting);
      this.#counting = undefined;
    }
    tell(carried, back.bytes);
    carried.back(back);
  }
}

function tell(carried: Carried, bytes: number): void {
  if (bytes > carried.told) carried.moved(bytes - carried.told);
  carried.told = Math.max(bytes, carried.told);
}

let carrier: Carrier | null = null;

/**
 * Moves bytes from one TCP socket to another until something else than bytes comes. Nobody may read the one or write
 * to the other meanwhile. `moved`: told now and then how many more octets have gone. Null: too many already.
 */
export function carry(
  from: number,
  to: number,
  moved: (bytes: number) => void,
  back: (back: Back) => void,
): Transfer | null {
  carrier ??= new Carrier();
  return carrier.carry(from, to, moved, back);
}
