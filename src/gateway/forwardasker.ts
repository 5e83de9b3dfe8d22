/** The client's side of a forwarded request, as the request sees it. */
import type { Socket } from '../net/socket.ts';
import type { Target } from '../policy/decision.ts';
import type { Policy } from '../policy/policy.ts';
import type { Origin } from './forwardorigins.ts';
import type { Problem } from './gates.ts';

export interface Asker {
  readonly near: Socket;
  /** Whether no further request is taken: the client has ended, or the gateway is about to. */
  readonly isLeaving: boolean;
  /** An idle connection to there, judged by this policy; null where there is none. */
  idleOrigin(target: Target, policy: Policy): Origin | null;
  /** Nothing is under way on this connection, and nothing else will be. */
  part(far: Socket): void;
  /** There is room for more of the request's body. */
  wantsMore(): void;
  /**
   * The whole answer was given. `origin`: may serve another request. `close`: the client knows that it was the last.
   * `unread`: some of its request may still come.
   */
  answered(origin: Origin | null, close: boolean, unread: boolean): void;
  /** Nothing was said to the client yet. */
  failed(problem: Problem, unread: boolean): void;
  /** The connection to the client cannot go on. */
  broken(): void;
  /** Both have changed to another protocol. `meter`: told how many octets go to the origin; false: they may not. */
  switched(far: Socket, first: Uint8Array, meter: ((octets: number) => boolean) | null): void;
  /** An attempt to connect counts among the agent's connections until it has come to its end. */
  holdUntil(done: Promise<void>): void;
}
