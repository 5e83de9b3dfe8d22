/**
 * What agents use up: connections open, connections opened within a second, octets sent within a day. Asked before
 * anything is used; what is refused is not counted.
 */
import type { Rule } from '../policy/decision.ts';
import type { Reason } from '../policy/reason.ts';

export interface Usage {
  /** One more connection of the agent. Null: it is counted until `closed`. */
  tryOpen(agent: string): Reason | null;
  closed(agent: string): void;
  /**
   * Whether `up` has to be asked at all: a limit holds for the agent or for the rule. Null: what no rule allows and
   * `observe` lets through.
   */
  isMetered(agent: string, rule: Rule | null): boolean;
  /** Octets about to go to an origin. Null: they are counted, and may go. */
  up(agent: string, rule: Rule | null, octets: number): Reason | null;
}
