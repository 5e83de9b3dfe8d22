/** How a refused connection ends in its own protocol: what is under way comes to its end, then one last answer. */
import type { Gate } from '../net/relay.ts';
import type { Socket, SocketHandler } from '../net/socket.ts';
import { HttpGate } from './httpgate.ts';
import { headerOf } from './internal.ts';
import { ACCESS_DENIED, httpRefusal, isFailure, type Refusal, wantsJson } from './refusal.ts';
import { TlsGate } from './tlsgate.ts';

/** What the client understands, as far as its gate has heard it. `none`: no words of ours. */
export function lastWords(gate: Gate | null, refusal: Refusal): Uint8Array | 'later' | 'none' {
  const { reason } = refusal;
  if (gate instanceof TlsGate && !isFailure(reason)) return gate.heard ? ACCESS_DENIED : 'later';
  if (!(gate instanceof HttpGate)) return 'none';
  if (gate.head === null && reason !== 'http-malformed') return 'later';
  const json = gate.head !== null && wantsJson(headerOf(gate.head, 'accept'));
  return httpRefusal(refusal, { json, head: gate.head?.method === 'HEAD', close: true });
}

/**
 * Takes both sockets over. Where answers to earlier requests are due, the far side is told that no more requests
 * come and may finish them, so that ours does not land in the middle of one. Then `last` and FIN go to the near
 * side, whose bytes are thrown away (a reset at once could overtake the answer). Whoever started it sets a time limit.
 */
export class Farewell implements SocketHandler {
  #said = false;

  constructor(
    private readonly near: Socket,
    private readonly far: Socket | null,
    answersAreDue: boolean,
    private readonly last: Uint8Array,
    private readonly onFinished: () => void,
  ) {
    near.handler = this;
    if (far?.open) {
      far.handler = this;
      if (answersAreDue) {
        far.resume();
        far.end();
      } else far.reset();
    } else this.#say();
    near.resume();
  }

  /** The time is up. */
  reset(): void {
    this.near.reset();
    this.far?.reset();
  }

  onData(from: Socket, bytes: Uint8Array): void {
    if (from === this.far && !this.near.write(bytes)) from.pause();
  }

  onDrain(socket: Socket): void {
    if (socket === this.near) this.far?.resume();
  }

  onEnd(from: Socket): void {
    if (from === this.far) this.#say();
  }

  onClose(socket: Socket): void {
    if (socket === this.near) this.far?.reset();
    else this.#say();
    if (!this.near.open && !this.far?.open) this.onFinished();
  }

  #say(): void {
    if (this.#said || !this.near.open) return;
    this.#said = true;
    this.near.write(this.last);
    this.near.end();
  }
}
