/**
 * Completion for bash, zsh and fish. The scripts hold no knowledge: they ask `clawctl __complete` with the
 * words so far, the last of them unfinished, and offer what it prints, one candidate a line. No line at all
 * means that file names are wanted. The program is asked by the name that was typed, which may be ./clawctl.
 */
import type { Command } from 'commander';
import { EXIT, Failure } from '../base/failure.ts';
import { pathsOf } from '../base/paths.ts';
import { printable } from '../names/display.ts';
import type { Policy } from '../policy/policy.ts';
import { print } from './output.ts';

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_clawctl() {
  mapfile -t COMPREPLY < <("$1" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _clawctl clawctl`,
  zsh: `#compdef clawctl
_clawctl() {
  local -a candidates
  candidates=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[1]}" ]]; then compadd -Q -a candidates; else _files; fi
}
compdef _clawctl clawctl`,
  fish: `function __clawctl_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c clawctl -a '(__clawctl_complete)'`,
};

export function completion(shell: string): void {
  const script = SCRIPTS[shell];
  if (script === undefined)
    throw new Failure(
      'usage',
      `There is no completion for '${printable(shell)}'.`,
      'Choose bash, zsh or fish.',
    );
  print(script);
}

/** Prints the candidates for the last of the words. */
export async function complete(program: Command, words: readonly string[]): Promise<number> {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const command = commandOf(program, before);
  if (command.name() === 'run' && (before.includes('--') || hasCommand(command, before))) return EXIT.done;
  const option = command.options.find((each) => each.long === before.at(-1) && each.required);
  const candidates =
    option === undefined
      ? await candidatesOf(command, current)
      : await valuesOf(option.long!, option.argChoices);
  for (const candidate of candidates)
    if (candidate.startsWith(current.replace(/^["']/, ''))) print(candidate.replaceAll('*', '\\*'));
  return EXIT.done;
}

function commandOf(program: Command, words: readonly string[]): Command {
  let command = program;
  for (const word of words) command = command.commands.find((each) => each.name() === word) ?? command;
  return command;
}

/** True where the command to run has been named already, also without \`--\`. */
function hasCommand(run: Command, words: readonly string[]): boolean {
  for (let at = words.indexOf('run') + 1; at < words.length; at++) {
    if (!words[at]!.startsWith('-')) return true;
    if (run.options.some((option) => option.long === words[at] && option.required)) at++;
  }
  return false;
}

async function candidatesOf(command: Command, current: string): Promise<readonly string[]> {
  if (current.startsWith('-'))
    return [...command.options.map((option) => option.long!), '--help'].filter(
      (name) => name !== '--version',
    );
  if (command.commands.length > 0) return command.commands.map((each) => each.name());
  if (command.name() === 'completion') return Object.keys(SCRIPTS);
  if (command.name() === 'presets') return valuesOf('--preset', undefined);
  const parent = command.parent?.name();
  if (parent === 'agents' && (command.name() === 'rotate' || command.name() === 'remove'))
    return agentsWithToken();
  if (parent === 'alerts' && ['test', 'silence', 'replay'].includes(command.name()))
    return fromPolicy(({ alerts }) => alerts.map(({ name }) => name));
  if (command.name() === 'remove' && parent === 'egress') return removableHosts();
  return [];
}

async function valuesOf(option: string, choices: readonly string[] | undefined): Promise<readonly string[]> {
  if (option === '--agent') return namedAgents();
  if (option === '--channel') return fromPolicy(({ channels }) => [...channels.keys()]);
  if (option !== '--preset') return choices ?? [];
  const { PRESETS } = await import('../policy/presets/presets.ts');
  return PRESETS.map((preset) => preset.name);
}

async function agentsWithToken(): Promise<readonly string[]> {
  const { readTokens } = await import('../config/tokens.ts');
  return silently(() => [...readTokens(pathsOf().tokens).keys()]);
}

async function namedAgents(): Promise<readonly string[]> {
  const [{ loadPolicy }, tokens] = await Promise.all([import('../config/load.ts'), agentsWithToken()]);
  const named = silently(() => [...loadPolicy({ paths: pathsOf() }).policy.agents.keys()]);
  return [...new Set([...tokens, ...named])];
}

async function fromPolicy(names: (policy: Policy) => readonly string[]): Promise<readonly string[]> {
  const { loadPolicy } = await import('../config/load.ts');
  return silently(() => names(loadPolicy({ paths: pathsOf() }).policy));
}

/** What is broken is for other commands to tell. */
function silently(act: () => readonly string[]): readonly string[] {
  try {
    return act();
  } catch {
    return [];
  }
}

async function removableHosts(): Promise<readonly string[]> {
  try {
    const [{ loadPolicy }, { rulesOf }] = await Promise.all([
      import('../config/load.ts'),
      import('../policy/policy.ts'),
    ]);
    const { policy } = await loadPolicy({ paths: pathsOf() });
    const own = [...rulesOf(policy)].filter((rule) => rule.source.kind === 'file');
    return [...new Set(own.map((rule) => rule.host))];
  } catch {
    return []; // a broken policy is for other commands to tell; a completion stays silent
  }
}
