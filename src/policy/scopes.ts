/** What the files together say about agents: their numbers, what they inherit, what they may use up, where they are. */
import { rangeText } from '../names/range.ts';
import type { PolicyDocument } from './document.ts';
import { type AgentLimits, DEFAULT_LIMITS, type Limits } from './limits.ts';
import type { AgentScope, Origin } from './policy.ts';

/**
 * `documents`: machine-wide first. `adding`: how many of them may add; the others may only narrow. An agent that no
 * file names has the limits of `limitsIn`.
 */
export function agentScopes(documents: readonly PolicyDocument[], adding: number): Map<string, AgentScope> {
  const agents = new Map<string, AgentScope>();
  const add = (name: string, inherit: boolean) => {
    const known = agents.get(name);
    if (known !== undefined) known.inherit &&= inherit;
    else agents.set(name, { number: agents.size + 1, inherit, limits: agentLimits(documents, adding, name) });
  };
  for (const document of documents) {
    for (const rule of document.rules) for (const name of rule.agents) add(name, true);
    // `inherit: false` narrows, so one file that says it is enough.
    for (const [name, section] of document.agents) add(name, section.inherit);
  }
  return agents;
}

/** The smallest that a file says; the default where none of those that may add says anything. */
export function limitsIn(documents: readonly PolicyDocument[], adding: number): Limits {
  return smallest(
    DEFAULT_LIMITS,
    documents.map((document) => document.limits),
    adding,
  );
}

/** Within a file the agent's own section beats what the file says for every agent. `name` null: one without section. */
export function agentLimits(
  documents: readonly PolicyDocument[],
  adding: number,
  name: string | null,
): AgentLimits {
  const said = documents.map(({ limits, agents }) => ({
    ...ofEach(limits),
    ...(name === null ? {} : agents.get(name)?.limits),
  }));
  return smallest(ofEach(DEFAULT_LIMITS) as AgentLimits, said, adding);
}

function ofEach(limits: Partial<Limits>): Partial<AgentLimits> {
  const { connectionsPerAgent, connectionsPerSecondPerAgent, bytesUpPerDayPerAgent } = limits;
  return {
    ...(connectionsPerAgent !== undefined && { connections: connectionsPerAgent }),
    ...(connectionsPerSecondPerAgent !== undefined && { connectionsPerSecond: connectionsPerSecondPerAgent }),
    ...(bytesUpPerDayPerAgent !== undefined && { bytesUpPerDay: bytesUpPerDayPerAgent }),
  };
}

function smallest<T extends object>(defaults: T, said: ReadonlyArray<Partial<T>>, adding: number): T {
  const limits = { ...defaults };
  for (const key of Object.keys(defaults) as (keyof T)[]) {
    const values = (from: number, to?: number) =>
      said.slice(from, to).flatMap((each) => (each[key] as number | undefined) ?? []);
    const first = values(0, adding);
    const base = first.length > 0 ? Math.min(...first) : (defaults[key] as number);
    limits[key] = Math.min(base, ...values(adding)) as T[keyof T];
  }
  return limits;
}

/**
 * Where agents are known to come from. What an earlier file says about an address holds, whatever a later one says
 * about a part of its range; within a file the narrowest range does.
 */
export function originsIn(documents: readonly PolicyDocument[]): Origin[] {
  const origins: Origin[] = [];
  const seen = new Set<string>();
  for (const document of documents) {
    const own = [...document.agents].flatMap(([agent, { from }]) => from.map((range) => ({ range, agent })));
    for (const origin of own.sort((a, b) => b.range.bits - a.range.bits)) {
      const text = rangeText(origin.range);
      if (!seen.has(text)) origins.push(origin);
      seen.add(text);
    }
  }
  return origins;
}
