/** `clawctl egress agents`: who may use a shared gateway, and the tokens by which they say so. */
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { pathsOf } from '../base/paths.ts';
import { formatSize } from '../base/size.ts';
import { loadPolicy } from '../config/load.ts';
import { addToken, removeToken, rotateToken } from '../config/tokenedit.ts';
import { readTokens } from '../config/tokens.ts';
import { rangeText } from '../names/range.ts';
import { agentsOf, placeOf } from '../policy/listener.ts';
import { agentLimitsOf, fromOf, listenOf, type Policy, rulesOf } from '../policy/policy.ts';
import { policyOf } from './check.ts';
import { iso, number, print, printJson, printTable, say, sayRaw, when } from './output.ts';
import { recordNotice } from './recordedit.ts';

interface Options {
  policy?: string;
  json?: boolean;
}

export async function addAgent(agent: string, options: Options): Promise<void> {
  const paths = pathsOf();
  const token = addToken(paths.tokens, agent, systemClock.now());
  await recordNotice(paths, 'agents-edited', `gave ${agent} a token, by hand`);
  tellToken(agent, token, 'agents-add', options);
}

export async function rotateAgent(agent: string, options: Options): Promise<void> {
  const paths = pathsOf();
  const token = rotateToken(paths.tokens, agent, systemClock.now());
  await recordNotice(paths, 'agents-edited', `changed the token of ${agent}, by hand`);
  if (options.json !== true) say(`the old token of ${agent} is worth nothing from now on`);
  tellToken(agent, token, 'agents-rotate', options);
}

/** The token alone goes to standard output, so that it can be caught. */
function tellToken(agent: string, token: string, kind: string, options: Options): void {
  if (options.json === true) {
    printJson(kind, { agent, token });
    return;
  }
  say(`the token of ${agent}, which is not shown again:`);
  print(token);
  sayRaw('  A running gateway knows it within a second.\n');
  sayRaw(
    `  To use it, keep it in a file of your own (umask 077): eval "$(clawctl egress env --agent ${agent} --token-file FILE)"\n`,
  );
}

export async function removeAgent(agent: string, options: Options): Promise<void> {
  const paths = pathsOf();
  removeToken(paths.tokens, agent);
  await recordNotice(paths, 'agents-edited', `took the token of ${agent} back, by hand`);
  const known = policyIfSound(options);
  const still = known === null ? [] : waysOf(known, agent);
  if (options.json === true) {
    printJson('agents-remove', { agent, still_known_by: still });
    return;
  }
  print(`Took the token of ${agent} back; connections that were opened with it end now.`);
  for (const way of still) say(`${agent} is still let in: ${way}`);
  if (still.length > 0) sayRaw('  The policy says so; take it out there.\n');
}

/** How an agent is known without a token. */
function waysOf(policy: Policy, agent: string): string[] {
  return [
    ...sourcesOf(policy, agent).map((range) => `from ${range}`),
    ...listenersOf(policy, agent).map((place) => `at ${place}`),
  ];
}

const sourcesOf = (policy: Policy, agent: string) =>
  fromOf(policy)
    .filter((origin) => origin.agent === agent)
    .map(({ range }) => rangeText(range));

const listenersOf = (policy: Policy, agent: string) =>
  listenOf(policy)
    .filter((entry) => entry.agent === agent)
    .map(placeOf);

/** Null where it does not parse: that must not keep anybody from taking a token back. */
function policyIfSound(options: Options): Policy | null {
  try {
    return loadPolicy(policyOf(options, pathsOf())).policy;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return null;
  }
}

export function listAgents(options: Options): void {
  const paths = pathsOf();
  const now = systemClock.now();
  const tokens = readTokens(paths.tokens);
  const { policy } = loadPolicy(policyOf(options, paths));
  const rules = new Map<string, number>();
  for (const { agents } of rulesOf(policy))
    for (const agent of agents) rules.set(agent, (rules.get(agent) ?? 0) + 1);
  const names = new Set([...tokens.keys(), ...policy.agents.keys(), ...agentsOf(listenOf(policy))]);
  const items = [...names].sort().map((agent) => ({
    agent,
    created: tokens.get(agent)?.created ?? null,
    from: sourcesOf(policy, agent),
    listeners: listenersOf(policy, agent),
    inherits: policy.agents.get(agent)?.inherit ?? true,
    rules: rules.get(agent) ?? 0,
    limits: agentLimitsOf(policy, agent),
  }));
  if (options.json === true) {
    printJson('agents', {
      items: items.map(({ created, limits, ...item }) => ({
        ...item,
        token_created: created === null ? null : iso(created),
        limits: {
          connections: limits.connections,
          connections_per_second: limits.connectionsPerSecond,
          bytes_up_per_day: finite(limits.bytesUpPerDay),
        },
      })),
    });
    return;
  }
  if (items.length === 0) {
    say('no agent has a token, and the policy names none.');
    sayRaw('  For a first one: clawctl egress agents add NAME\n');
    return;
  }
  const rows = items.map(({ agent, created, from, listeners, inherits, rules, limits }) => [
    agent,
    created === null ? '' : when(created, now),
    [...from, ...listeners].join(' '),
    number(rules),
    inherits ? '' : 'own rules only',
    number(limits.connections),
    limits.bytesUpPerDay === Number.POSITIVE_INFINITY ? '' : `${formatSize(limits.bytesUpPerDay)}/day`,
  ]);
  printTable(['agent', 'token made', 'known by', 'rules', '', 'connections', 'up'], rows);
}

const finite = (value: number) => (Number.isFinite(value) ? value : null);
