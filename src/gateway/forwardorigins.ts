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

  /** `onEmpty`: whenever the last one has closed. */
  constructor(private readonly onEmpty: () => void) {}

  get isEmpty(): boolean {
    return this.#kept.length === 0 && this.#parting.size === 0;
  }

  /** An idle one to the same place, now in use again. */
  take(target: Target, policy: Policy): Origin | null {
    for (let i = this.#kept.length - 1; i >= 0; i--) {
      const { origin, policy: judgedBy } = this.#kept[i]!;
      if (judgedBy !== policy || !isSame(origin.target, target)) continue;
      this.#kept.splice(i, 1);
      return origin;
    }
    return null;
  }

  /** The answer to its request is complete, and nothing came after it. */
  keep(origin: Origin, policy: Policy): void {
    origin.socket.handler = this;
    origin.socket.resume();
    if (!origin.socket.open) return;
    this.#kept.push({ origin, policy, looks: 0 });
    if (this.#kept.length > KEPT_MAX) this.part(this.#kept.shift()!.origin.socket);
  }

  /** In good order: nothing is under way on it. */
  part(socket: Socket): void {
    if (!socket.open) return;
    this.#parting.set(socket, 0);
    socket.handler = this;
    socket.resume();
    socket.end();
    if (this.#parting.size <= PARTING_MAX) return;
    for (const oldest of this.#parting.keys()) {
      oldest.reset();
      break;
    }
  }

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
    if (this.isEmpty) this.onEmpty();
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
