/** What forwarded connections are given. */
import type { Socket } from '../net/socket.ts';
import type { Reason } from '../policy/reason.ts';
import type { Spare } from './forwardorigins.ts';
import type { Identified } from './identity.ts';
import type { Session } from './session.ts';
import type { Surroundings } from './surroundings.ts';
import type { Usage } from './usage.ts';
import type { Waiter } from './waiting.ts';

/** Who sends a request. Where that cannot be known, `session` is the one that the refusal is recorded with. */
export type Sender =
  | {
      ok: true;
      session: Session;
      /** How it is known, to be asked again when tokens or ranges change; null where it cannot change. */
      identified: Identified | null;
    }
  | { ok: false; reason: Reason; session: Session };

/** What a forwarded connection needs of whoever accepted it. One object may serve all connections of a listener. */
export interface ForwardContext {
  around: Surroundings;
  /** A connection is counted from its first request of a known agent until it closes. */
  usage: Usage;
  spare: Spare;
  /**
   * Settled for every request, since each brings credentials of its own. `authorization`: the value of its one
   * Proxy-Authorization field, null without one.
   */
  senderOf(near: Socket, authorization: string | null): Sender;
  /** It is counted as an agent's from now on; until then it may have to make room for others. */
  onServed(forward: Waiter): void;
  /** Whether what was found still holds. */
  holds(identified: Identified): boolean;
  /**
   * A CONNECT came after other requests, all of which are answered: the client is the caller's again, and no longer
   * counted. `bytes` begin with the CONNECT.
   */
  onConnect(near: Socket, bytes: Uint8Array): void;
  /** Once, when nothing is left of it; connections to origins may outlast the client's for a moment. */
  onGone(forward: Waiter): void;
}
