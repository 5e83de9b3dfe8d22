/** `clawctl egress add`: allow hosts, or the hosts of a preset. */
import { resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { type Paths, pathsOf } from '../base/paths.ts';
import { type Added, addPreset, addRules } from '../config/edit.ts';
import { loadPolicy } from '../config/load.ts';
import { refanged } from '../names/defanged.ts';
import { displayName, printable } from '../names/display.ts';
import { parseHost } from '../names/host.ts';
import { allowedNames } from '../policy/allowednames.ts';
import { ruleText } from '../policy/decide.ts';
import type { Rule } from '../policy/decision.ts';
import { PRESETS } from '../policy/presets/presets.ts';
import { ruleItem } from './answers.ts';
import { policyOf } from './check.ts';
import { sayExposed } from './exposed.ts';
import { imitationOf } from './imitation.ts';
import { print, printJson, say, sayRaw, when } from './output.ts';
import { recordEdit } from './recordedit.ts';
import { parsePort } from './target.ts';
import { durationOf } from './timespan.ts';

interface Options {
  port?: string[];
  agent?: string;
  for?: string;
  note?: string;
  preset?: string;
  force?: boolean;
  policy?: string;
  json?: boolean;
}

export async function add(hosts: readonly string[], options: Options): Promise<void> {
  const paths = pathsOf();
  const file = options.policy === undefined ? paths.policy : resolve(options.policy);
  if ((hosts.length === 0) === (options.preset === undefined))
    throw new Failure('usage', 'Give hosts, or --preset and its name.', 'Presets: clawctl egress presets');
  if (options.preset === undefined) await addHosts(file, hosts, options, paths);
  else await addOnePreset(file, options.preset, options, paths);
  sayExposed([paths.machinePolicy, file]);
}

async function addHosts(
  file: string,
  hosts: readonly string[],
  options: Options,
  paths: Paths,
): Promise<void> {
  const now = systemClock.now();
  const { port = [], agent = null, note = null, force = false } = options;
  if (note !== null && printable(note) !== note)
    throw new Failure(
      'usage',
      'A note is one line of plain text.',
      'Write it without line ends and control characters.',
    );
  const ports = port.map(parsePort);
  const until = options.for === undefined ? null : now + durationOf(options.for);
  // As our own messages write it, too.
  const additions = hosts.map((host) => ({ host: refanged(host), ports, agent, until, note, force }));
  const added = addRules(file, additions, paths);
  await recordEdit(
    paths,
    added.added.map((rule) => `allowed ${sentence(rule, now)}`),
  );
  if (options.json === true) printJson('add', asDocument(added));
  else {
    tellAdded(added, now);
    warnOfImitation(added, options, paths);
  }
}

/** A name that imitates another allowed one may be a slip of the finger, or somebody's trap. */
function warnOfImitation({ added }: Added, options: Options, paths: Paths): void {
  const { policy } = loadPolicy(policyOf(options, paths));
  const others = allowedNames(policy, new Set(added.map((rule) => rule.host)));
  for (const { host } of added) {
    const parsed = parseHost(host.replace(/^\*\./, ''));
    const imitates = parsed === null ? null : imitationOf(parsed, others);
    if (imitates === null) continue;
    say(`warning: ${displayName(host)} ${imitates}`);
    sayRaw(`  If it is not the one you mean: clawctl egress remove ${host}\n`);
  }
}

function asDocument({ file, created, added, unchanged, denials, warnings }: Added): object {
  return {
    file,
    created,
    added: added.map(ruleItem),
    unchanged: unchanged.map(ruleItem),
    denials: denials.map(ruleItem),
    warnings: warnings.map(({ rule, message, fix }) => ({ host: rule.host, message, fix })),
  };
}

/** What the file holds besides what was asked for. */
function tellBegun({ file, created, builtIn }: { file: string; created: boolean; builtIn: boolean }): void {
  if (created)
    say(
      `began ${file} ${builtIn ? 'with the built-in policy' : 'without presets, below the machine-wide file'}`,
    );
}

function tellAdded(whole: Added, now: number): void {
  const { added, unchanged, denials, warnings } = whole;
  tellBegun(whole);
  for (const rule of added) print(`Allowed ${sentence(rule, now)} (${ruleText(rule)})`);
  for (const rule of unchanged) print(`Already allowed: ${sentence(rule, now)} (${ruleText(rule)})`);
  for (const { rule, message, fix } of warnings) {
    say(`warning: ${displayName(rule.host)}: ${message}`);
    sayRaw(`  ${fix}\n`);
  }
  for (const denial of denials)
    say(`it stays blocked: ${displayName(denial.host)} is denied at ${ruleText(denial)}`);
}

/** `api.example.com, ports 80 and 443, for support-bot, until …`. */
function sentence({ host, ports, agents, until }: Rule, now: number): string {
  const parts = [displayName(host), `${ports.length === 1 ? 'port' : 'ports'} ${ports.join(' and ')}`];
  if (agents.length > 0) parts.push(`for ${agents.join(', ')}`);
  if (until !== null) {
    const [exact, relative] = [new Date(until).toISOString(), when(until, now)];
    parts.push(`until ${exact}${relative === exact ? '' : ` (${relative})`}`);
  }
  return parts.join(', ');
}

async function addOnePreset(file: string, name: string, options: Options, paths: Paths): Promise<void> {
  const { port, agent, note, for: duration } = options;
  if ([port, agent, note, duration].some((option) => option !== undefined))
    throw new Failure(
      'usage',
      'A preset comes as it is.',
      'Add its hosts one by one: clawctl egress presets NAME',
    );
  const begun = addPreset(file, name, paths);
  const { changed: added, created } = begun;
  if (added) await recordEdit(paths, [`allowed the preset ${name}`]);
  const preset = PRESETS.find((each) => each.name === name)!;
  if (options.json === true) printJson('add', { file, created, preset: name, added });
  else {
    tellBegun(begun);
    print(`${added ? 'Allowed' : 'Already allowed:'} the preset ${name}: ${preset.hosts.join(', ')}`);
    say(`its risk: ${preset.risk}`);
  }
}
