/**
 * What every detector is: a function of committed rows in the order of their sequence. It has no clock but the
 * rows' own time, so that recorded history gives the same answers as the moment itself, and its memory is bounded
 * whatever agents do.
 */
import type { StoredEvent } from '../../events/row.ts';
import type { Policy } from '../../policy/policy.ts';

export interface Finding {
  /** What is told apart: an alert fires once for each. Null where it does not matter. */
  agent: string | null;
  host: string | null;
  /** One sentence for a person, without what an agent chose except host and agent names. */
  text: string;
  /** What was measured and what it was held against, where there are numbers. */
  value: number | null;
  threshold: number | null;
}

export interface Detector {
  /** Looks at one row; rows are seen once each. What it remembers, it remembers whether or not it finds something. */
  see(row: StoredEvent): Finding | null;
}

/**
 * Numbers under keys that have to outlive the process (`first_contact bot example.com` → when). Kept by the engine
 * in the transaction that moves its cursor; it may forget what was not asked for longest.
 */
export interface Memory {
  get(key: string): number | null;
  set(key: string, value: number): void;
}

export interface DetectorContext {
  /** The policy of the moment. Detectors notice when it is another one. */
  policy(): Policy;
  memory: Memory;
  /** Whether somebody has given the agent a token or a listener, for agents that the policy does not name. */
  isKnown?(agent: string): boolean;
}
