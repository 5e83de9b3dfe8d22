/**
 * One client connection that carries HTTP/1 requests with absolute targets (RFC 9112 section 3.2.2). Each request is
 * judged, recorded and sent on its own, and answered in the order in which it came.
 */
import type { Socket } from '../net/socket.ts';
import type { Policy } from '../policy/policy.ts';
import type { Reason } from '../policy/reason.ts';
import type { Session } from './session.ts';
import type { Surroundings } from './surroundings.ts';
import type { Usage } from './usage.ts';

/** Who sends a request. Where that cannot be known, `session` is the one that the refusal is recorded with. */
export type Sender = { ok: true; session: Session } | { ok: false; reason: Reason; session: Session };

/** What a forwarded connection needs of whoever accepted it. One object serves all connections of a listener. */
export interface ForwardContext {
  around: Surroundings;
  /** A connection is counted from its first request of a known agent until it closes. */
  usage: Usage;
  /**
   * Settled for every request, since each brings credentials of its own. `authorization`: the value of its one
   * Proxy-Authorization field, null without one.
   */
  senderOf(near: Socket, authorization: string | null): Sender;
  /**
   * A CONNECT came after other requests, all of which are answered: the client is the caller's again. `bytes` begin
   * with the CONNECT. `onGone` has been called before.
   */
  onConnect(near: Socket, bytes: Uint8Array): void;
  /** Once, when nothing is left of it. */
  onGone(forward: Forward): void;
}

export class Forward {
  /**
   * Takes the client over, its handler included. `first`: what has been read of it so far, at least the first octet.
   * `run` begins.
   */
  constructor(
    readonly context: ForwardContext,
    readonly near: Socket,
    readonly first: Uint8Array,
  ) {}

  run(): void {}

  /** Judged again by this policy: requests that would now be refused are reset. */
  rejudge(_policy: Policy): void {}

  /** Time limits, and rules that have ended meanwhile. To be called about twice a second. */
  check(_now: number, _monotonic: number): void {}

  /** At once. */
  close(): void {
    this.near.reset();
  }
}
