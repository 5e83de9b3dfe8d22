/** What every gate shares: whom it asks and whom it tells. */
import type { Reason } from '../policy/reason.ts';
import type { ClientHello } from '../wire/clienthello.ts';
import type { RequestHead } from '../wire/http/head.ts';

/** Why something may not pass. `detail` is for the record. */
export interface Problem {
  reason: Reason;
  detail: string | null;
}

export const because = (reason: Reason): Problem => ({ reason, detail: null });

/** The connection behind a gate. */
export interface Judge {
  /** A whole ClientHello was read: the first, or the one after a HelloRetryRequest. */
  hello(hello: ClientHello): Problem | null;
  /** A whole request head was read. `nth` counts from 1. A promise is waited for before anything passes. */
  request(head: RequestHead, nth: number): Problem | null | Promise<Problem | null>;
  /** Whether a rule lets HTTP change to this protocol, given in lower case. */
  mayChangeTo(protocol: string): boolean;
  /** Nothing passes any more. Called at most once, and then the gate is silent. */
  refuse(problem: Problem): void;
  /** The client is in the middle of something (true), and only has so long to finish it. */
  unfinished(waiting: boolean): void;
}
