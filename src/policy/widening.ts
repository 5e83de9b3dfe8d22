/**
 * What a change of the policy lets go without saying so: an edit that takes an agent's section or its addresses out
 * reads like less, and may mean more. Told wherever a policy takes the place of another.
 */
import type { Address } from '../names/address.ts';
import { rangeContains, rangeText } from '../names/range.ts';
import { agentLimitsOf, type Origin, type Policy } from './policy.ts';

/** Sentences without their full stop; none where nothing is let go. */
export function widenedBy(before: Policy, after: Policy): string[] {
  return [...restraintsGone(before, after), ...addressesGone(before.from, after.from)];
}

function* restraintsGone(before: Policy, after: Policy): Iterable<string> {
  const denied = deniedAgents(before);
  const stillDenied = deniedAgents(after);
  for (const [agent, { inherit }] of before.agents) {
    if (!inherit && after.agents.get(agent)?.inherit !== false)
      yield `${agent} inherits the rules for every agent from now on`;
    if (denied.has(agent) && !stillDenied.has(agent))
      yield `nothing is denied to ${agent} in particular any more`;
    const [old, now] = [agentLimitsOf(before, agent), agentLimitsOf(after, agent)];
    if (old.bytesUpPerDay < now.bytesUpPerDay) yield `${agent} may send more in a day than before`;
  }
}

/** Agents that some denial names. */
function deniedAgents({ table }: Policy): Set<string> {
  return new Set(table.shapes.filter(({ action }) => action === 'deny').flatMap(({ agents }) => agents));
}

/** Whoever is not known by an address any more has to show a token; whoever is known as another may do other things. */
function* addressesGone(before: readonly Origin[], after: readonly Origin[]): Iterable<string> {
  const ranges = new Map([...before, ...after].map(({ range }) => [rangeText(range), range]));
  for (const [text, { first }] of ranges) {
    const [old, now] = [ownerOf(before, first), ownerOf(after, first)];
    if (old !== null && now !== null && old !== now)
      yield `${text} is taken for ${now} from now on, not for ${old}`;
  }
}

function ownerOf(origins: readonly Origin[], address: Address): string | null {
  return origins.find(({ range }) => rangeContains(range, address))?.agent ?? null;
}
