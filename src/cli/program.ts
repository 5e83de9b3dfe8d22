/**
 * Every command, option and example, in one place: help, completion and parsing come from here. What a
 * command does is in the file of its name, loaded only when it is called.
 */
import { Command, CommanderError, Option } from 'commander';
import { version } from '../../package.json';
import { EXIT, Failure, RUN_EXIT } from '../base/failure.ts';
import { addAlertCommands } from './alerts/commands.ts';
import { printableLines, sayRaw } from './output.ts';
import { NO_RUN_OPTIONS } from './runarguments.ts';

const many = (value: string, before: string[] = []) => [...before, value];

function add(parent: Command, usage: string, summary: string, examples: readonly string[]): Command {
  const command = parent.command(usage).summary(summary).description(`${summary}.`);
  const above = parent.name();
  const names = above === 'egress' ? 'egress ' : above === 'clawctl' ? '' : `egress ${above} `;
  const name = `clawctl ${names}${command.name()}`;
  return command
    .showHelpAfterError(`  See: ${name} --help`)
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`)
    .helpOption('-h, --help', 'show this help');
}

const json = () => new Option('--json', 'print one JSON document (or a stream of them) instead of a table');
const policy = () => new Option('--policy <file>', 'use this policy file in place of your own');
const agent = (what: string) => new Option('--agent <name>', what);
const last = () =>
  new Option('--last <duration>', 'how far to look back, such as 90s, 30m, 24h or 7d').default('24h');
const since = () => new Option('--since <time>', 'look back to this time (2026-01-31T08:00:00Z) instead');

export type AddCommand = typeof add;
export type SharedOptions = Record<'json' | 'policy' | 'last' | 'since', () => Option> & {
  agent: (what: string) => Option;
};

export function createProgram(): Command {
  const program = new Command('clawctl')
    .description('Egress control for AI agents: nothing leaves that no rule allows.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .enablePositionalOptions()
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('  See: clawctl --help')
    .configureOutput({
      writeErr: (text) => sayRaw(printableLines(text)),
      outputError: (text, write) =>
        write(text.replace(/^error: /, 'clawctl: ').replace(/\n\((Did you mean .*)\)/, '\n  $1')),
    });

  const egress = add(program, 'egress', 'Fence an agent, and see and decide what may leave', [
    'clawctl egress run -- npm view is-number version',
    'clawctl egress add api.yourcompany.com',
    'clawctl egress blocked --last 24h',
  ]);
  egress.helpCommand('help [command]', 'show the help of a command').enablePositionalOptions();

  add(egress, 'run', 'Run a command inside the fence', [
    'clawctl egress run -- npm view is-number version',
    'clawctl egress run --agent support-bot --write ~/notes -- openclaw gateway',
    'clawctl egress run --policy ci.yaml --quiet -- ./agent.sh',
  ])
    .addOption(agent('name of the agent in rules and records (default: the name of the command)'))
    .addOption(policy())
    .option('--write <dir>', 'let the command write here, besides the working directory (repeatable)', many)
    .option('--read <path>', 'show a path that is hidden by default, such as ~/.ssh (repeatable)', many)
    .option('--socket <path>', 'let the command use this unix socket (repeatable)', many)
    .option(
      '--force',
      'allow --socket also for a socket that leads out of the fence (docker, D-Bus, systemd, ssh agents)',
    )
    .option(
      '--publish <place>',
      '[HOST:]PORT[:PORT]: let in who connects here (127.0.0.1) to a port of the command (repeatable)',
      many,
    )
    .option('--proxy-only', 'build no fence, only set the proxy variables: NOT ENFORCED')
    .option('--fresh', 'forget what earlier runs of this agent wrote to its copy of the home')
    .option('--quiet', 'say nothing but what goes wrong: no refusals, no summary')
    .option('--json', 'report refusals and the summary on standard error as JSON lines')
    .argument('<command...>', 'the command and its arguments, after --')
    .usage('[options] -- <command...>')
    .passThroughOptions()
    .addHelpText(
      'after',
      `
The command sees the machine read-only except for the working directory, and its home as a private copy.
Its exit code is passed on; ${RUN_EXIT.ours} means that the fence could not be built, ${RUN_EXIT.notExecutable} that the command is not
executable, ${RUN_EXIT.notFound} that it was not found. Lines on standard error that start with "clawctl:" are ours,
but a command can print the like: trust 'clawctl egress blocked', typed by you, outside.`,
    )
    .action(async (command: string[], options) => {
      const { run } = await import('./run.ts');
      process.exitCode = await run({ ...NO_RUN_OPTIONS, ...options, command });
    });

  add(egress, 'add', 'Allow hosts', [
    'clawctl egress add api.yourcompany.com',
    'clawctl egress add "*.internal.company.com"',
    'clawctl egress add db.example.com --port 5432 --agent support-bot --for 2h --note SEC-12',
    'clawctl egress add --preset python',
  ])
    .argument('[host...]', 'names, *.names, addresses or ranges')
    .option('--port <number>', 'allow this port instead of 80 and 443 (repeatable)', many)
    .addOption(agent('allow it for this agent only'))
    .option('--for <duration>', 'allow it for this long only, such as 2h')
    .option('--note <text>', 'why; kept with the rule')
    .option('--preset <name>', 'allow the hosts of a preset')
    .option('--force', 'admit a wildcard over a whole public suffix, or * alone')
    .addOption(policy())
    .addOption(json())
    .action(async (hosts: string[], options) => (await import('./add.ts')).add(hosts, options));

  add(egress, 'remove', 'Take back rules that allow hosts', ['clawctl egress remove api.oldservice.com'])
    .argument('<host...>', 'hosts exactly as the list shows them')
    .addOption(policy())
    .addOption(json())
    .action(async (hosts: string[], options) => {
      process.exitCode = await (await import('./remove.ts')).remove(hosts, options);
    });

  add(egress, 'list', 'Show the rules, their use, and what is doubtful about them', [
    'clawctl egress list',
    'clawctl egress list --json',
  ])
    .addOption(policy())
    .addOption(json())
    .action(async (options) => (await import('./list.ts')).list(options));

  add(egress, 'presets', 'Show the lists of hosts that ship with the program', [
    'clawctl egress presets',
    'clawctl egress presets github-read',
  ])
    .argument('[name]', 'show the hosts of this preset')
    .addOption(json())
    .action(async (name: string | undefined, options) =>
      (await import('./presets.ts')).presets(name, options),
    );

  add(egress, 'blocked', 'Show what was refused', [
    'clawctl egress blocked --last 24h',
    'clawctl egress blocked --since 2026-01-31T08:00:00Z --agent curl --json',
  ])
    .addOption(last())
    .addOption(since())
    .addOption(agent('only this agent'))
    .addOption(json())
    .action(async (options) => (await import('./blocked.ts')).blocked(options));

  add(egress, 'stats', 'Show how much went where', [
    'clawctl egress stats',
    'clawctl egress stats --last 7d --by agent',
  ])
    .addOption(last())
    .addOption(since())
    .addOption(agent('only this agent'))
    .addOption(new Option('--by <what>', 'one line for each').choices(['host', 'agent']))
    .addOption(json())
    .action(async (options) => (await import('./stats.ts')).stats(options));

  add(egress, 'tail', 'Follow what happens, live', [
    'clawctl egress tail',
    'clawctl egress tail --json | jq .host',
  ])
    .addOption(agent('only this agent'))
    .addOption(json())
    .action(async (options) => (await import('./tail.ts')).tail(options));

  add(egress, 'check', 'Ask whether a host is allowed', [
    'clawctl egress check github.com',
    'clawctl egress check db.example.com:5432 --agent support-bot',
    'clawctl egress check --batch < targets.ndjson',
  ])
    .argument('[target]', 'HOST or HOST:PORT (port 443 if none is given)')
    .addOption(agent('as this agent').default('cli'))
    .option('--batch', 'read {"host","port","agent"} from standard input, one a line; answer one a line')
    .addOption(policy())
    .addOption(json())
    .addHelpText(
      'after',
      `\nExit code ${EXIT.done}: allowed. ${EXIT.denied}: denied. With --batch: ${EXIT.done}.`,
    )
    .action(async (target: string | undefined, options) => {
      process.exitCode = await (await import('./check.ts')).check(target, options);
    });

  add(egress, 'explain', 'Say why a host, or a recorded event, was allowed or refused', [
    'clawctl egress explain attacker.com',
    'clawctl egress explain db.example.com:5432 --agent support-bot',
    'clawctl egress explain 1042',
  ])
    .argument('<target>', 'HOST, HOST:PORT, or the number of an event')
    .addOption(agent('as this agent').default('cli'))
    .addOption(policy())
    .addOption(json())
    .action(async (target: string, options) => (await import('./explain.ts')).explain(target, options));

  add(egress, 'serve', 'Be a gateway for many agents: a proxy, or what connections are redirected to', [
    'clawctl egress serve',
    'clawctl egress serve --listen 10.0.0.1:8880 --listen unix:/run/clawctl/proxy.sock --workers 2',
    'clawctl egress serve --transparent 10.0.0.1:15001 --dns 10.0.0.1:53 --agent vm',
    'clawctl egress serve --takeover',
  ])
    .option('--listen <place>', 'ADDRESS:PORT or unix:PATH for HTTP and SOCKS5 clients (repeatable)', many)
    .option('--transparent <place>', 'ADDRESS:PORT that connections are redirected to (repeatable)', many)
    .option('--dns <place>', 'ADDRESS:PORT for the questions of redirected clients (repeatable)', many)
    .addOption(agent('whoever connects to these listeners is this agent'))
    .option(
      '--admin <place>',
      'ADDRESS:PORT for /livez and /readyz, besides the socket in the runtime folder',
    )
    .option('--workers <number>', 'processes that share the work (default: one for each processor)')
    .addOption(policy())
    .option('--name <name>', 'tell this service from others of the same user', 'default')
    .option('--drain <duration>', 'how long open connections may last at the end', '30s')
    .option('--takeover', 'take over from a running service, without refusing a connection')
    .addOption(json())
    .addHelpText(
      'after',
      `
Listeners can also stand in the policy, under 'listen:'; with none at all it is 127.0.0.1:8880. SIGHUP
reads the policy, the tokens and the certificates again, SIGTERM lets open connections end and then ends.`,
    )
    .action(async (options) => {
      process.exitCode = await (await import('./serve.ts')).serve(options);
    });

  add(egress, 'status', 'Show how a running service is', [
    'clawctl egress status',
    'clawctl egress status --json',
  ])
    .option('--name <name>', 'which service', 'default')
    .addOption(json())
    .addHelpText(
      'after',
      `\nExit code ${EXIT.done}: ready. ${EXIT.failed}: not ready. ${EXIT.noGateway}: none runs.`,
    )
    .action(async (options) => {
      process.exitCode = await (await import('./status.ts')).status(options);
    });

  add(egress, 'kill', 'Stop everything, or one agent, at once', [
    'clawctl egress kill --reason SEC-12',
    'clawctl egress kill --agent support-bot',
    'sudo clawctl egress kill --machine',
  ])
    .alias('pause')
    .addOption(agent('stop this agent only'))
    .option('--reason <text>', 'why; shown wherever the stop is')
    .option('--machine', 'stop the gateways and fences of every user of this machine')
    .addOption(json())
    .addHelpText(
      'after',
      `
Every gateway and every fence obeys within a second: connections are reset, new ones refused. It holds
across restarts, until 'clawctl egress resume', and needs neither a policy nor a store.`,
    )
    .action(async (options) => (await import('./kill.ts')).kill(options));

  add(egress, 'resume', 'Let go on what was stopped', [
    'clawctl egress resume',
    'clawctl egress resume --agent support-bot',
  ])
    .addOption(agent('let only this agent go on'))
    .option('--machine', 'take back what was stopped for every user of this machine')
    .addOption(json())
    .action(async (options) => (await import('./kill.ts')).resume(options));

  addAlertCommands(egress, add, { json, policy, last, since, agent });

  const agents = add(egress, 'agents', 'Give agents tokens for a shared gateway, and take them back', [
    'clawctl egress agents add support-bot',
    'clawctl egress agents list',
    'clawctl egress agents rotate support-bot',
  ]);
  agents.helpCommand('help [command]', 'show the help of a command').enablePositionalOptions();

  add(agents, 'add', 'Give an agent a token, which is shown once', [
    'clawctl egress agents add support-bot',
    'clawctl egress agents add support-bot > /run/secrets/support-bot.token',
  ])
    .argument('<name>', 'the agent, as rules and records name it')
    .addOption(json())
    .action(async (name: string, options) => (await import('./agents.ts')).addAgent(name, options));

  add(agents, 'list', 'Show the agents, and how a gateway knows each', ['clawctl egress agents list'])
    .addOption(policy())
    .addOption(json())
    .action(async (options) => (await import('./agents.ts')).listAgents(options));

  add(agents, 'rotate', 'Give an agent another token; the one before it is worth nothing at once', [
    'clawctl egress agents rotate support-bot',
  ])
    .argument('<name>', 'an agent that has a token')
    .addOption(json())
    .action(async (name: string, options) => (await import('./agents.ts')).rotateAgent(name, options));

  add(agents, 'remove', 'Take the token of an agent back, and end its connections', [
    'clawctl egress agents remove support-bot',
  ])
    .argument('<name>', 'an agent that has a token')
    .addOption(policy())
    .addOption(json())
    .action(async (name: string, options) => (await import('./agents.ts')).removeAgent(name, options));

  add(egress, 'env', 'Print what programs need to go through a gateway as an agent', [
    'eval "$(clawctl egress env --agent support-bot --token-file support-bot.token)"',
    'clawctl egress env --agent support-bot --format compose',
    'clawctl egress env --agent ci --proxy http://10.0.0.1:8880 --format env-file > ci.env',
  ])
    .addOption(agent('whose name and token').makeOptionMandatory())
    .addOption(
      new Option('--format <format>', 'how to write it')
        .choices(['shell', 'env-file', 'docker', 'compose', 'json'])
        .default('shell'),
    )
    .option('--proxy <url>', 'where the gateway is (default: what the policy has under listen:)')
    .option('--token-file <file>', 'where the token is, - for standard input (default: in CLAWCTL_TOKEN)')
    .addOption(policy())
    .addOption(json())
    .action(async (options) => (await import('./env.ts')).env(options));

  add(egress, 'doctor', 'Find out what is wrong, and how to mend it', [
    'clawctl egress doctor',
    'clawctl egress doctor --json',
  ])
    .addOption(json())
    .action(async (options) => {
      process.exitCode = await (await import('./doctor.ts')).doctor(options);
    });

  add(program, 'completion', 'Print a completion script for a shell', [
    'source <(clawctl completion bash)',
    'clawctl completion fish > ~/.config/fish/completions/clawctl.fish',
  ])
    .argument('<shell>', 'bash, zsh or fish')
    .action(async (shell: string) => (await import('./completion.ts')).completion(shell));

  return program;
}

/** Runs the command that the words name. Resolves to the exit code. */
export async function runProgram(words: readonly string[]): Promise<number> {
  if (words[0] === '__complete') {
    const { complete } = await import('./completion.ts');
    return complete(createProgram(), words.slice(1));
  }
  const isRun = words[0] === 'egress' && words[1] === 'run';
  try {
    if (!isRun) {
      const { warnOfBrokenPolicy, warnOfWaitingMessages } = await import('./standing.ts');
      await warnOfBrokenPolicy(words);
      await warnOfWaitingMessages(words);
    }
    await createProgram().parseAsync([...words], { from: 'user' });
    return Number(process.exitCode ?? EXIT.done);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version were asked for, or a command without a subcommand showed its own.
      if (error.exitCode === 0) return EXIT.done;
      return isRun ? RUN_EXIT.ours : EXIT.usage;
    }
    if (!(error instanceof Failure)) throw error;
    const { report } = await import('./report.ts');
    return report(error, isRun);
  }
}
