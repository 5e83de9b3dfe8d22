/**
 * What agents use up: connections open, connections opened within a second, octets sent within a day. Asked before
 * anything is used; what is refused is not counted.
 */
import type { Clock } from '../base/clock.ts';
import type { Rule } from '../policy/decision.ts';
import { agentLimitsOf, limitsOf, type Policy } from '../policy/policy.ts';
import type { Reason } from '../policy/reason.ts';

export interface Usage {
  /** One more connection of the agent. Null: it is counted until `closed`. */
  tryOpen(agent: string): Reason | null;
  closed(agent: string): void;
  /** Whether `up` has to be asked at all: some limit holds. `rule` is null where none allows and `observe` lets through. */
  isMetered(agent: string, rule: Rule | null): boolean;
  /** Octets about to go to an origin. Null: they are counted, and may go. */
  up(agent: string, rule: Rule | null, octets: number): Reason | null;
}

interface Count {
  open: number;
  /** The second in which the newest connection was opened, and how many were in it. */
  second: number;
  opened: number;
}

const DAY = 86_400_000;
const SECOND = 1_000;
const EVERYBODY = '';

/** Counts in this process alone, and from nothing at its start. */
export function createUsage(sources: { policy: () => Policy; clock: Clock }): Usage {
  const { policy, clock } = sources;
  const everybody: Count = { open: 0, second: 0, opened: 0 };
  const agents = new Map<string, Count>();
  /** Octets of the day by agent, and by agent and rule. */
  const sent = new Map<string, number>();
  let day = 0;

  const inSecond = (count: Count, second: number) => (count.second === second ? count.opened : 0);
  const add = (count: Count, second: number) => {
    count.opened = inSecond(count, second) + 1;
    count.second = second;
    count.open++;
  };

  return {
    tryOpen(agent) {
      const total = limitsOf(policy());
      const own = agentLimitsOf(policy(), agent);
      const second = Math.floor(clock.monotonic() / SECOND);
      const count = agents.get(agent) ?? { open: 0, second, opened: 0 };
      if (everybody.open >= total.connections) return 'limit-total';
      if (count.open >= own.connections) return 'limit-connections';
      if (inSecond(everybody, second) >= total.connectionsPerSecond) return 'limit-rate';
      if (inSecond(count, second) >= own.connectionsPerSecond) return 'limit-rate';
      agents.set(agent, count);
      add(count, second);
      add(everybody, second);
      return null;
    },
    closed(agent) {
      agents.get(agent)!.open--;
      everybody.open--;
    },
    isMetered(agent, rule) {
      const { bytesUpPerDay } = limitsOf(policy());
      return (
        bytesUpPerDay !== Infinity ||
        agentLimitsOf(policy(), agent).bytesUpPerDay !== Infinity ||
        (rule !== null && rule.bytesUpPerDay !== null)
      );
    },
    up(agent, rule, octets) {
      const today = Math.floor(clock.now() / DAY);
      // A clock that is set back a little, perhaps over midnight, gives no day's octets again.
      if (today > day) sent.clear();
      if (today > day || today < day - 1) day = today;
      const meters: Array<readonly [key: string, limit: number]> = [
        [EVERYBODY, limitsOf(policy()).bytesUpPerDay],
        [agent, agentLimitsOf(policy(), agent).bytesUpPerDay],
        [`${agent} ${rule === null ? '' : meterOf(rule)}`, rule?.bytesUpPerDay ?? Infinity],
      ];
      if (meters.some(([key, limit]) => (sent.get(key) ?? 0) + octets > limit)) return 'limit-bytes-up';
      for (const [key] of meters) sent.set(key, (sent.get(key) ?? 0) + octets);
      return null;
    },
  };
}

/** The same, but no one agent has more than so many connections in this process: others find room whatever it does. */
export function leavingRoom(usage: Usage, most: number): Usage {
  const open = new Map<string, number>();
  return {
    ...usage,
    tryOpen(agent) {
      const mine = open.get(agent) ?? 0;
      const reason = mine >= most ? 'limit-connections' : usage.tryOpen(agent);
      if (reason === null) open.set(agent, mine + 1);
      return reason;
    },
    closed(agent) {
      open.set(agent, open.get(agent)! - 1);
      usage.closed(agent);
    },
  };
}

/** What a rule says, so that a line added above it does not start its count anew. */
export function meterOf({ host, ports, agents }: Rule): string {
  return `${host} ${ports.join()} ${agents.join()}`;
}

/** Any one rule suffices: where the first has nothing left, the next may. The rules that are left, or why there is none. */
export function countUp(
  usage: Usage,
  agent: string,
  rules: readonly Rule[],
  octets: number,
): readonly Rule[] | Reason {
  let reason: Reason = 'limit-bytes-up';
  for (let first = 0; first < rules.length; first++) {
    const problem = usage.up(agent, rules[first]!, octets);
    if (problem === null) return first === 0 ? rules : rules.slice(first);
    reason = problem;
  }
  return reason;
}

/**
 * A place among the connections that an agent may have open, given back when the last who holds it has let go. An
 * attempt to connect that was abandoned holds it too: the kernel keeps its descriptor for minutes.
 */
export class Slot {
  /** Why there is none; null: there is. */
  readonly refused: Reason | null;
  #holders = 1;

  constructor(
    private readonly usage: Usage,
    private readonly agent: string,
  ) {
    this.refused = usage.tryOpen(agent);
  }

  holdUntil(done: Promise<void>): void {
    this.#holders++;
    void done.then(() => this.letGo());
  }

  letGo(): void {
    if (--this.#holders === 0 && this.refused === null) this.usage.closed(this.agent);
  }
}
