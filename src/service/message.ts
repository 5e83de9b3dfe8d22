/**
 * What a supervisor and its workers tell each other. Descriptors do not fit into a message: they go ahead of the one
 * that speaks of them, over a UNIX socket that the worker has as descriptor 3.
 */
import type { FailureCode } from '../base/failure.ts';
import type { Paths } from '../base/paths.ts';
import type { Counted } from '../gateway/session.ts';
import type { ListenEntry } from '../policy/listener.ts';

export const CHANNEL = 3;

/** Something to listen on; its sockets are descriptors. */
export interface Served {
  id: number;
  entry: ListenEntry;
  /** How many descriptors come with it: sockets of one address, or for DNS one of UDP and one of TCP. */
  count: number;
}

export interface Start {
  kind: 'start';
  paths: Paths;
  policyFile: string | null;
  /** Whose region of the shared memory it writes. The first of a generation has what one process alone can do. */
  slot: number;
  /** Of whoever started the service; a worker takes from it what channels of alerts name. */
  environment: Readonly<Record<string, string>>;
  /** Of the command line's listeners. */
  agents: readonly string[];
  /** Why whatever was before it in this place ended, where nobody had asked it to. */
  restarted: string | null;
}

/** What one worker refused, for the others: an agent that asks for it may be led to any of them. */
export interface Refused {
  kind: 'refused';
  refusals: readonly Counted[];
}

export type ToWorker =
  /** With the shared memory. */
  | Start
  /** With the sockets. What is served under the same id is ended. */
  | { kind: 'listen'; served: readonly Served[] }
  | { kind: 'unlisten'; ids: readonly number[] }
  | { kind: 'reload' }
  | Refused
  /**
   * To accept no more, and to end when what is open has ended, at the latest after so many milliseconds. The shorter
   * of two counts.
   */
  | { kind: 'drain'; milliseconds: number };

/** What a worker is about, several times a second. */
export interface Beat {
  kind: 'beat';
  connections: number;
  /** Whether the store takes decisions. */
  writable: boolean;
  /** What is wrong with the policy's files as they stand now; the one before holds. */
  rejected: string | null;
  kills: readonly string[];
}

export type FromWorker =
  | Beat
  | Refused
  | { kind: 'started' }
  | { kind: 'listening'; ids: readonly number[] }
  /** One could not be served, and why. `kept`: how it is served all the same, where it was served before. */
  | { kind: 'unserved'; id: number; why: string; kept: string | null }
  /** What the policy says about listeners, after it has changed. */
  | { kind: 'policy'; listen: readonly ListenEntry[] }
  | { kind: 'said'; text: string }
  | { kind: 'failed'; code: FailureCode; message: string; fix: string | null };
