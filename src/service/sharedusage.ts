/** Limits that hold across the workers of a service. */
import type { Clock } from '../base/clock.ts';
import { meterOf, type Usage } from '../gateway/usage.ts';
import { agentLimitsOf, limitsOf, type Policy } from '../policy/policy.ts';
import { keyOf, type Ledger } from './ledger.ts';

const SECOND = 1_000;
const EVERYBODY = keyOf('');
/** Keys are texts that the policy bounds; a policy that changes often must not fill the memory. */
const MOST_KEYS = 50_000;

export interface SharedUsageOptions {
  ledger: Ledger;
  /** Whose region of the ledger is written. */
  slot: number;
  policy: () => Policy;
  clock: Clock;
}

export function createSharedUsage({ ledger, slot, policy, clock }: SharedUsageOptions): Usage {
  const keys = new Map<string, number>();
  const key = (text: string): number => {
    let known = keys.get(text);
    if (known === undefined) {
      if (keys.size >= MOST_KEYS) keys.clear();
      known = keyOf(text);
      keys.set(text, known);
    }
    return known;
  };
  const today = () => ledger.turn(clock.now());
  const agentKey = (agent: string) => key(`agent ${agent}`);

  return {
    tryOpen(agent) {
      const total = limitsOf(policy());
      const own = agentLimitsOf(policy(), agent);
      const mine = agentKey(agent);
      // The only clock that processes have in common.
      const now = clock.now();
      const second = Math.floor(now / SECOND);
      if (ledger.openOf(EVERYBODY) >= total.connections) return 'limit-total';
      if (ledger.openOf(mine) >= own.connections) return 'limit-connections';
      if (ledger.openedIn(EVERYBODY, second) >= total.connectionsPerSecond) return 'limit-rate';
      if (ledger.openedIn(mine, second) >= own.connectionsPerSecond) return 'limit-rate';
      for (const each of [EVERYBODY, mine]) ledger.opened(slot, each, second, ledger.turn(now));
      return null;
    },
    closed(agent) {
      for (const each of [EVERYBODY, agentKey(agent)]) ledger.closed(slot, each, today());
    },
    isMetered(agent, rule) {
      return (
        limitsOf(policy()).bytesUpPerDay !== Infinity ||
        agentLimitsOf(policy(), agent).bytesUpPerDay !== Infinity ||
        (rule !== null && rule.bytesUpPerDay !== null)
      );
    },
    up(agent, rule, octets) {
      const day = today();
      const meters: (readonly [key: number, limit: number])[] = [
        [EVERYBODY, limitsOf(policy()).bytesUpPerDay],
        [agentKey(agent), agentLimitsOf(policy(), agent).bytesUpPerDay],
      ];
      if (rule !== null) meters.push([key(`rule ${agent} ${meterOf(rule)}`), rule.bytesUpPerDay ?? Infinity]);
      if (meters.some(([each, limit]) => limit !== Infinity && ledger.sentOn(each, day) + octets > limit))
        return 'limit-bytes-up';
      for (const [each] of meters) ledger.sent(slot, each, octets, day);
      return null;
    },
  };
}
