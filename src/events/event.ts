/**
 * What is recorded. Rows are never changed: a connection is a `decision` row, perhaps a later `refusal`
 * with the same connection id (hop 4 or 5 said no after hop 3 had said yes), and a `close` row.
 */
import type { Verdict } from '../policy/decision.ts';
import type { Reason } from '../policy/reason.ts';

/**
 * Stands for the host, with the port 0, where nobody could read what was asked for. In parentheses, as all that is no
 * host: an address would be taken for one that somebody wanted to reach.
 */
export const UNREAD_HOST = '(unread)';

interface Common {
  /** Wall time, milliseconds since the Unix epoch. */
  time: number;
  agent: string;
  /** Which run of which gateway: unique on this machine. */
  session: string;
}

/** `request` is one HTTP request on a connection that carries several. */
export interface DecisionEvent extends Common {
  kind: 'decision';
  /** Unique within the session; shared by the rows of one connection or HTTP request. */
  connection: number;
  protocol: 'tcp' | 'http' | 'udp' | 'icmp' | 'other';
  /** Name or canonical address, or `(unread)`; never text that a parser refused. */
  host: string;
  port: number;
  verdict: Verdict;
  reason: Reason;
  /** `egress.yaml:12`, `preset default`, or null. */
  rule: string | null;
  wouldDeny: boolean;
  /** How many alike it stands for, where they were counted and not seen one by one. 1 if left out. */
  count?: number;
}

export interface RefusalEvent extends Common {
  kind: 'refusal';
  connection: number;
  host: string;
  port: number;
  reason: Reason;
  /** For the record only, such as the address class or the name that was sent instead; at most 300 characters. */
  detail: string | null;
}

export interface CloseEvent extends Common {
  kind: 'close';
  connection: number;
  host: string;
  port: number;
  /** `failed`: allowed, but the origin could not be reached or broke off. Counted as failed. */
  outcome: 'done' | 'failed' | 'refused' | 'reset';
  reason: Reason | null;
  /** Octets of payload from the agent to the origin. */
  bytesUp: number;
  /** Octets of payload from the origin to the agent. */
  bytesDown: number;
  /** Milliseconds from accept to close. */
  duration: number;
}

/**
 * What has passed by now on a connection that goes on; its close says it again, with the rest. Totals count closes
 * alone: this is for whoever must not wait for one.
 */
export interface ProgressEvent extends Omit<CloseEvent, 'kind' | 'outcome' | 'reason'> {
  kind: 'progress';
}

/** A DNS question that the stub was asked. Bounded and counted by whoever records it. */
export interface QuestionEvent extends Common {
  kind: 'question';
  host: string;
  /** A, AAAA, TXT, … or TYPE65 form. */
  type: string;
  count: number;
}

/** Anything else worth keeping: policy edits, rejected policies, gateways that start and stop. */
export interface NoticeEvent extends Common {
  kind: 'notice';
  topic:
    | 'gateway-started'
    | 'gateway-stopped'
    | 'policy-loaded'
    | 'policy-rejected'
    | 'policy-edited'
    | 'agents-edited'
    | 'store-replaced'
    | 'store-failed'
    | 'fence-broken'
    | 'addresses-exhausted'
    | 'killed'
    | 'resumed'
    | 'worker-restarted'
    | 'gateway-taken-over'
    | 'alert-pending'
    | 'alert-firing'
    | 'alert-resolved'
    | 'alert-acknowledged'
    | 'alert-silenced'
    | 'alert-delivered'
    | 'alert-undelivered';
  text: string;
}

export type Event = DecisionEvent | RefusalEvent | ProgressEvent | CloseEvent | QuestionEvent | NoticeEvent;

/** The write side, as the data path sees it. One per process. */
export interface Recorder {
  /**
   * Resolves once the row is written down, in a file that outlives this program; false if it cannot be, and then
   * nothing may leave.
   * Refusals are recorded in the same way but need not be waited for.
   */
  decide(event: DecisionEvent): Promise<boolean>;
  /** Writes a row down; it is committed with the next batch. */
  note(event: Exclude<Event, DecisionEvent>): void;
  /** False while the store cannot be written. */
  readonly writable: boolean;
  /** Resolves when everything queued so far is committed (or has failed). */
  flush(): Promise<void>;
  close(): Promise<void>;
}
