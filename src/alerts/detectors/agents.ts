/** An agent where it is not expected: unknown, not let in, at a host that is not for it, or that only another one uses. */
import { isFolded } from '../../events/distinct.ts';
import type { StoredEvent } from '../../events/row.ts';
import { BoundedMap } from '../counting/bounded.ts';
import type { Detector, DetectorContext, Finding } from './detector.ts';
import { createDomains } from './domain.ts';

/** How long a host must have been one agent's alone, and another agent about, for its visit there to be worth telling. */
const LEARNING = 86_400_000;
const MOST_KNOWN = 50_000;

export function createUnexpectedAgents({ policy, memory, isKnown }: DetectorContext): Detector {
  const domainOf = createDomains();
  /** Pairs that memory need not be asked about again. */
  const usual = new BoundedMap<true>(MOST_KNOWN);

  const isDeclared = (agent: string): boolean => {
    const { agents, listen } = policy();
    if (agents.size === 0 || agents.has(agent) || isKnown?.(agent) === true) return true;
    return listen.some((entry) => entry.agent === agent);
  };

  /** What was let through is remembered, and is a finding where it was another agent's alone so far. */
  const visit = (agent: string, host: string, time: number): Finding | null => {
    const domain = isFolded(host) ? null : domainOf(host);
    if (domain === null || usual.get(`${agent} ${domain}`)) return null;
    usual.set(`${agent} ${domain}`, true);
    const key = (name: string) => `unexpected_agent ${name}`;
    const since = memory.get(key(agent));
    if (since === null) memory.set(key(agent), time);
    if (memory.get(key(`${agent} ${domain}`)) !== null) return null;
    memory.set(key(`${agent} ${domain}`), time);
    const users = memory.get(key(`users ${domain}`)) ?? 0;
    const first = memory.get(key(`first ${domain}`)) ?? time;
    memory.set(key(`users ${domain}`), users + 1);
    if (users === 0) memory.set(key(`first ${domain}`), time);
    if (users !== 1 || since === null || time - since < LEARNING || time - first < LEARNING) return null;
    return found(agent, host, `${agent} is at ${host}, which only another agent has used so far`);
  };

  return {
    see(row: StoredEvent) {
      if (row.kind !== 'decision') return null;
      const { agent, host, reason } = row;
      if (reason === 'credentials-wrong' || reason === 'credentials-missing')
        return found(agent, null, `somebody came as ${agent === '' ? 'no agent' : agent} without its token`);
      if (reason === 'agent')
        return found(agent, host, `${agent} asked for ${host}, which is allowed for other agents only`);
      if (!isDeclared(agent))
        return found(agent, null, `${agent} is none of the agents that the policy names`);
      return row.verdict === 'allow' ? visit(agent, host, row.time) : null;
    },
  };
}

function found(agent: string, host: string | null, text: string): Finding {
  return { agent, host, text, value: null, threshold: null };
}
