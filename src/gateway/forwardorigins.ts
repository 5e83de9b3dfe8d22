/**
 * Connections to origins that one client's requests have opened. Each serves that client alone, only for the agent,
 * host and port that it was opened for, and only while the policy is the one that its addresses were judged by.
 */
import type { Address } from '../names/address.ts';
import { hostText } from '../names/host.ts';
import type { Socket, SocketHandler } from '../net/socket.ts';
import type { Target } from '../policy/decision.ts';
import type { Policy } from '../policy/policy.ts';

export interface Origin {
  socket: Socket;
  target: Target;
  /** Every answer to the target's name; they were judged together. */
  addresses: readonly Address[];
}

/**
 * Descriptors for connections to origins beyond the one that each client is counted with, shared by all clients. A new
 * request that needs one has precedence over what is idle.
 */
export interface Spare {
  count: number;
  readonly most: number;
}

interface Kept {
  origin: Origin;
  policy: Policy;
  /** Looks at the clock since it was kept. */
  looks: number;
}

/** Idle ones. A browser asks for the parts of a page from a few hosts in turn. */
const KEPT_MAX = 4;
/** About 30 s of looking twice a second: servers rarely keep a connection for longer, and say so by closing it. */
const LOOKS_MAX = 60;
/** An origin that does not end when we do would keep its descriptor for as long as the client stays. */
const PARTING_MAX = 4;
const PARTING_LOOKS_MAX = 4;

export class Origins implements SocketHandler {
  #kept: Kept[] = [];
  /** Told to end, and not closed yet; with the looks at the clock since then. */
  #parting = new Map<Socket, number>();
  /** A request has one of its own. */
  #isInUse = false;
  /** What `spare` counts of these. */
  #spared = 0;

  /** `onEmpty`: whenever the last one has closed. */
  constructor(
    private readonly spare: Spare,
    private readonly onEmpty: () => void,
  ) {}

  get isEmpty(): boolean {
    return this.#kept.length === 0 && this.#parting.size === 0;
  }

  /** An idle one to the same place, now in use again. */
  take(target: Target, policy: Policy): Origin | null {
    for (let i = this.#kept.length - 1; i >= 0; i--) {
      const { origin, policy: judgedBy } = this.#kept[i]!;
      if (judgedBy !== policy || !isSame(origin.target, target)) continue;
      this.#kept.splice(i, 1);
      this.use();
      return origin;
    }
    return null;
  }

  /** A request takes one of its own. */
  use(): void {
    this.#isInUse = true;
    this.#settle();
  }

  /** The request is over. `origin`: its answer is complete, and nothing came after it. */
  rest(origin: Origin | null, policy: Policy | null): void {
    this.#isInUse = false;
    if (origin !== null) {
      origin.socket.handler = this;
      origin.socket.resume();
      if (origin.socket.open) this.#kept.push({ origin, policy: policy!, looks: 0 });
      if (this.#kept.length > KEPT_MAX) this.part(this.#kept.shift()!.origin.socket);
    }
    this.#settle();
  }

  /** In good order: nothing is under way on it. */
  part(socket: Socket): void {
    if (!socket.open) return;
    this.#parting.set(socket, 0);
    socket.handler = this;
    socket.resume();
    socket.end();
    if (this.#parting.size > PARTING_MAX) this.#dropParting();
    this.#settle();
  }

  /** Those that are idle. */
  partAll(): void {
    for (const { origin } of this.#kept.splice(0)) this.part(origin.socket);
  }

  resetAll(): void {
    for (const { origin } of this.#kept.splice(0)) origin.socket.reset();
    for (const socket of this.#parting.keys()) socket.reset();
  }

  /** About twice a second. */
  check(): void {
    for (const kept of this.#kept) kept.looks++;
    while (this.#kept[0] !== undefined && this.#kept[0].looks > LOOKS_MAX)
      this.part(this.#kept.shift()!.origin.socket);
    for (const [socket, looks] of this.#parting) {
      if (looks === PARTING_LOOKS_MAX) socket.reset();
      else this.#parting.set(socket, looks + 1);
    }
  }

  /** Nobody asked for anything: whatever it is, it is not the answer to the next request. */
  onData(socket: Socket): void {
    socket.reset();
  }

  onDrain(): void {}

  onEnd(socket: Socket): void {
    this.#forget(socket);
    this.part(socket);
  }

  onClose(socket: Socket): void {
    this.#forget(socket);
    this.#parting.delete(socket);
    this.#settle();
    if (this.isEmpty) this.onEmpty();
  }

  /** Counts anew, and gives up what there is no descriptor for. */
  #settle(): void {
    const { spare } = this;
    const held = this.#kept.length + this.#parting.size;
    const spared = this.#isInUse ? held : Math.max(0, held - 1);
    spare.count += spared - this.#spared;
    this.#spared = spared;
    if (spared === 0 || spare.count <= spare.most) return;
    // Closing one settles again, until it fits or none is left.
    if (this.#parting.size > 0) this.#dropParting();
    else this.#kept[0]!.origin.socket.reset();
  }

  #dropParting(): void {
    for (const oldest of this.#parting.keys()) {
      oldest.reset();
      break;
    }
  }

  #forget(socket: Socket): void {
    const at = this.#kept.findIndex(({ origin }) => origin.socket === socket);
    if (at !== -1) this.#kept.splice(at, 1);
  }
}

function isSame(a: Target, b: Target): boolean {
  return (
    a.agent === b.agent &&
    a.port === b.port &&
    a.host.kind === b.host.kind &&
    hostText(a.host) === hostText(b.host)
  );
}
