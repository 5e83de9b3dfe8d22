/** Carrying bytes between two connections until both are done. */
import { Lane } from './lane.ts';
import type { Ending, Socket, SocketHandler } from './socket.ts';

/** Stands in the way from the near side to the far side, for as long as what passes must be looked at. */
export interface Gate {
  /** The next bytes from the near side. What may go on is given to `relay.pass`, now or later. */
  push(bytes: Uint8Array): void;
  /** The near side has sent everything. Answered with `relay.passEnd`, now or later. */
  end(): void;
}

/**
 * What may wait for the far side to be there before the near side is paused. First bytes fit, and pausing costs
 * more than keeping them: four system calls and an event.
 */
const EARLY_MAX = 65_536;

/** Octets one way after which more are expected. Below it a thread more costs more than it saves. */
const MUCH = 8 << 20;

/** Why the near side is not being read. */
const FAR_IS_FULL = 1;
const FAR_IS_MISSING = 2;
const GATE_IS_BUSY = 4;

/**
 * A near socket (who connected to us) and, once it is there, a far one. Back-pressure by pausing the faster
 * side, so at most one chunk (512 KiB) waits per direction; FIN is passed on as FIN after the bytes before it,
 * RST as RST. Bytes from the far side always flow at once; those from the near side go through the gate.
 */
export class Relay implements SocketHandler {
  far: Socket | null = null;
  gate: Gate | null = null;
  /** Sees what comes from the far side before it is passed on. */
  watch: ((bytes: Uint8Array) => void) | null = null;
  #meter: ((octets: number) => boolean) | null = null;
  /** Who broke off first, if anybody did. */
  brokenBy: Socket | null = null;
  #up: Lane | null = null;
  #down: Lane | null = null;
  #early: Uint8Array[] | null = null;
  #earlyBytes = 0;
  #endEarly = false;
  #waits = 0;
  #finished = false;

  /** `onFinished`: once, when every socket it holds has closed; `reset` if any of them broke off. */
  constructor(
    readonly near: Socket,
    private readonly onFinished: (ending: Ending) => void,
  ) {}

  /** Asked before anything goes to the far side, where what goes there is counted against a limit. False: it does not. */
  get meter(): ((octets: number) => boolean) | null {
    return this.#meter;
  }

  set meter(meter: ((octets: number) => boolean) | null) {
    this.#meter = meter;
    if (meter !== null) this.#up?.recall(() => {});
  }

  /** Octets that have come or gone on either side. */
  get moved(): number {
    const { near, far } = this;
    return near.bytesIn + near.bytesOut + (far === null ? 0 : far.bytesIn + far.bytesOut);
  }

  /** Joins the far side. What the gate has passed already goes out first. */
  join(far: Socket): void {
    this.far = far;
    far.handler = this;
    const early = this.#early ?? [];
    this.#early = null;
    for (const bytes of early) {
      if (!far.write(bytes)) this.#waits |= FAR_IS_FULL;
    }
    if (this.#endEarly) far.end();
    this.#ready(FAR_IS_MISSING);
  }

  /** Sends bytes of the near side on, however many; the near side pauses where they have to wait. */
  pass(bytes: Uint8Array): void {
    if (this.meter !== null && !this.meter(bytes.length)) return;
    if (this.far === null) {
      this.#early ??= [];
      this.#early.push(bytes);
      this.#earlyBytes += bytes.length;
      if (this.#earlyBytes > EARLY_MAX) this.#wait(FAR_IS_MISSING);
    } else if (!this.far.write(bytes)) this.#wait(FAR_IS_FULL);
    else if (this.gate === null && this.meter === null && this.near.bytesIn >= MUCH) {
      this.#up ??= new Lane(this.near, this.far, this.#uncarried);
      this.#up.passed(bytes.length);
    }
  }

  /** A socket that has ended both ways is closed at once, so nothing may be under way in the other direction. */
  passEnd(): void {
    const { far } = this;
    if (far === null) this.#endEarly = true;
    else recall(this.#down, () => far.end());
  }

  /** Calls `then` once nothing is carried outside of this program: now, or soon. */
  recall(then: () => void): void {
    recall(this.#down, () => recall(this.#up, then));
  }

  /** The gate needs time: no more bytes until `resumeGate`. */
  pauseGate(): void {
    this.#wait(GATE_IS_BUSY);
  }

  resumeGate(): void {
    this.#ready(GATE_IS_BUSY);
  }

  /** Nothing was said and nothing will be: both sides, in good order, whether or not the far one is there yet. */
  finish(): void {
    this.near.end();
    this.far?.end();
  }

  /** Both sides, at once. */
  reset(): void {
    this.near.reset();
    this.far?.reset();
  }

  onData(from: Socket, bytes: Uint8Array): void {
    if (from !== this.near) {
      if (this.watch !== null) this.watch(bytes);
      if (!this.near.write(bytes)) from.pause();
      else if (this.watch === null && from.bytesIn >= MUCH) {
        this.#down ??= new Lane(from, this.near, this.#uncarried);
        this.#down.passed(bytes.length);
      }
    } else if (this.gate !== null) this.gate.push(bytes);
    else this.pass(bytes);
  }

  onDrain(socket: Socket): void {
    if (socket === this.near) this.far?.resume();
    else this.#ready(FAR_IS_FULL);
  }

  onEnd(from: Socket): void {
    if (from !== this.near) recall(this.#up, () => this.near.end());
    else if (this.gate !== null) this.gate.end();
    else this.passEnd();
  }

  onClose(socket: Socket, ending: Ending): void {
    const other = socket === this.near ? this.far : this.near;
    this.#up?.stop();
    this.#down?.stop();
    if (ending === 'reset') {
      this.brokenBy ??= socket;
      other?.reset();
    }
    if (this.#finished || other?.open) return;
    this.#finished = true;
    this.onFinished(this.brokenBy === null ? ending : 'reset');
  }

  /** A lane is ours again; `rest` was taken from one side and has not gone to the other. */
  #uncarried = (from: Socket, rest: Uint8Array, broken: Socket | null): void => {
    if (!this.near.open || !this.far!.open) return;
    if (broken !== null) {
      this.brokenBy ??= broken;
      this.reset();
    } else if (from === this.near) {
      if (rest.length > 0) this.pass(rest);
      if (this.#waits === 0) from.resume();
    } else if (rest.length === 0 || this.near.write(rest)) from.resume();
  };

  #wait(why: number): void {
    this.#waits |= why;
    this.near.pause();
  }

  #ready(why: number): void {
    this.#waits &= ~why;
    if (this.#waits === 0) this.near.resume();
  }
}

/** Calls `then` once nothing is carried on this lane. */
function recall(lane: Lane | null, then: () => void): void {
  if (lane === null) then();
  else lane.recall(then);
}
