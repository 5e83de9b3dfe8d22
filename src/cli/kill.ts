/** `clawctl egress kill` and `resume`: stop what leaves, at once, and let go on. Needs neither policy nor store. */
import { readFileSync } from 'node:fs';
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { type Paths, pathsOf } from '../base/paths.ts';
import { addKill, removeKills } from '../config/killfile.ts';
import { type Kill, killFiles, killOf, killText, readKills } from '../config/killswitch.ts';
import { loadPolicy } from '../config/load.ts';
import { readTokens } from '../config/tokens.ts';
import { isAgentName } from '../policy/agentname.ts';
import { shellWord } from '../policy/change.ts';
import { agentsOf } from '../policy/listener.ts';
import { listenOf } from '../policy/policy.ts';
import { didYouMean } from '../policy/problem.ts';
import { iso, printableLines, printJson, say, sayRaw } from './output.ts';
import { recordNotice } from './recordedit.ts';

interface Options {
  agent?: string;
  reason?: string;
  machine?: boolean;
  json?: boolean;
}

const LONGEST_REASON = 300;

export async function kill(options: Options): Promise<void> {
  const paths = pathsOf();
  const agent = agentOf(options);
  const file = fileOf(options, paths);
  const reason = options.reason?.trim().slice(0, LONGEST_REASON) || null;
  const order = { agent, by: whoIsThis(), reason, now: systemClock.now() };
  const before = addKill(file, order);
  const stopped = readKills([file]).find((each) => each.damage !== null || each.agent === agent);
  const text = stopped === undefined ? '' : killText(stopped);
  const unheardOf = () => (agent === null ? null : warningOfUnheardOf(paths, agent));
  if (options.json === true) {
    const warning = unheardOf();
    const words = warning === null ? null : `${warning.message}. ${warning.fix}`;
    printJson('kill', { ...killItem(stopped!), already: before !== null, warning: words });
  } else {
    say(before === null ? text : `nothing new: ${text}`);
    const narrow = before?.damage == null && agent !== null ? ` --agent ${agent}` : '';
    sayRaw(`  To go on: clawctl egress resume${narrow}${options.machine === true ? ' --machine' : ''}\n`);
  }
  if (before === null) await recordNotice(paths, 'killed', text);
  const warning = options.json === true ? null : unheardOf();
  if (warning === null) return;
  say(warning.message);
  sayRaw(`  ${warning.fix}\n`);
}

/** Whoever stops the wrong name stops nobody. It is stopped already, so nothing that is broken here is in the way. */
function warningOfUnheardOf(paths: Paths, agent: string): { message: string; fix: string } | null {
  const known = new Set<string>();
  try {
    const { policy } = loadPolicy({ paths });
    for (const name of policy.agents.keys()) known.add(name);
    for (const name of agentsOf(listenOf(policy))) known.add(name);
    for (const name of readTokens(paths.tokens).keys()) known.add(name);
  } catch {
    return null;
  }
  if (known.size === 0 || known.has(agent)) return null;
  const message = `no token and no policy of this user names ${agent}; agents of \`run\` are called by --agent, or like the command`;
  return { message, fix: didYouMean(agent, [...known]) };
}

/** The command that ends just this. */
export function resumeCommand({ agent, file }: Kill, paths: Paths): string {
  const narrow = agent === null ? '' : ` --agent ${shellWord(agent)}`;
  return `clawctl egress resume${narrow}${file === paths.machineKill ? ' --machine' : ''}`;
}

export async function resume(options: Options): Promise<void> {
  const paths = pathsOf();
  const agent = agentOf(options);
  const file = fileOf(options, paths);
  const whole = readKills([file]).find((each) => each.agent === null);
  if (agent !== null && whole !== undefined)
    throw new Failure(
      'kill-failed',
      `${killText(whole)}; ${agent} cannot go on alone.`,
      `Let everything go on: clawctl egress resume${options.machine === true ? ' --machine' : ''}`,
    );
  const taken = removeKills(file, agent);
  const rest = readKills(killFiles(paths));
  const held = agent === null ? (rest[0] ?? null) : killOf(rest, agent);
  if (options.json === true)
    printJson('resume', { resumed: taken.map(killItem), still_killed: rest.map(killItem) });
  else {
    if (taken.length === 0) say(`nothing was stopped${agent === null ? '' : ` for ${agent}`}`);
    else say(`${agent ?? 'everything'} may go on, as far as the rules allow`);
    if (held !== null) say(`but ${killText(held)}; to end that: ${resumeCommand(held, paths)}`);
  }
  if (taken.length > 0)
    await recordNotice(paths, 'resumed', `${agent ?? 'everything'} may go on again, by ${whoIsThis()}`);
}

/** What `list`, `stats` and `doctor` show beside their own figures. */
export function sayKills(paths: Paths, agent?: string): void {
  for (const each of killsFor(paths, agent)) say(`the kill switch is on: ${killText(each)}`);
}

export function killsFor(paths: Paths, agent?: string): Kill[] {
  return readKills(killFiles(paths)).filter(
    (each) => agent === undefined || each.agent === null || each.agent === agent,
  );
}

export function killItem({ agent, since, by, reason, file, damage }: Kill): object {
  return { agent, since: since === null ? null : iso(since), by, reason, file, damage };
}

function agentOf({ agent }: Options): string | null {
  if (agent !== undefined && !isAgentName(agent))
    throw new Failure(
      'usage',
      `'${printableLines(agent)}' is not the name of an agent.`,
      'See: clawctl egress agents list',
    );
  return agent ?? null;
}

function fileOf({ machine }: Options, paths: Paths): string {
  return machine === true ? paths.machineKill : paths.kill;
}

function whoIsThis(): string {
  const name = nameOfUser();
  const { SUDO_USER } = process.env;
  return SUDO_USER === undefined || SUDO_USER === name ? name : `${name} (sudo by ${SUDO_USER})`;
}

/** Not by the runtime, which believes the environment. */
function nameOfUser(): string {
  const uid = String(process.getuid!());
  try {
    const entries = readFileSync('/etc/passwd', 'utf8').split('\n');
    return entries.map((entry) => entry.split(':')).find((fields) => fields[2] === uid)?.[0] ?? `user ${uid}`;
  } catch {
    return `user ${uid}`;
  }
}
