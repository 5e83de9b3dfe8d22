/** The commands, options and examples about alerts; see program.ts. */
import { type Command, Option } from 'commander';
import type { AddCommand, SharedOptions } from '../program.ts';

export function addAlertCommands(egress: Command, add: AddCommand, shared: SharedOptions): void {
  const { json, policy, agent, last, since } = shared;
  const alerts = add(egress, 'alerts', 'See what alerts there are, what has fired, and whom they tell', [
    'clawctl egress alerts list',
    'clawctl egress alerts test blocked_request_spike',
    'clawctl egress alerts silence blocked_request_spike --for 2h --reason "load test"',
  ]);
  alerts.helpCommand('help [command]', 'show the help of a command').enablePositionalOptions();

  add(alerts, 'list', 'Show every alert, whether it fires, and whom it tells', ['clawctl egress alerts list'])
    .addOption(policy())
    .addOption(json())
    .action(async (options) => (await import('./list.ts')).list(options));

  add(alerts, 'history', 'Show what has fired, and who was told', [
    'clawctl egress alerts history --last 7d',
    'clawctl egress alerts history --agent support-bot --json',
  ])
    .addOption(last())
    .addOption(since())
    .addOption(agent('only what is about this agent'))
    .addOption(json())
    .action(async (options) => (await import('./history.ts')).history(options));

  add(alerts, 'test', 'Send a message that is marked as a test', [
    'clawctl egress alerts test blocked_request_spike',
    'clawctl egress alerts test --channel oncall',
  ])
    .argument('[name]', 'the alert whose recipients get it')
    .option('--channel <name>', 'send it by this channel, or to this e-mail address, instead')
    .addOption(policy())
    .addOption(json())
    .action(async (name: string | undefined, options) => {
      process.exitCode = await (await import('./test.ts')).test(name, options);
    });

  add(alerts, 'check', 'Read the alerts of a policy, say them in words, and what they still need', [
    'clawctl egress alerts check',
    'clawctl egress alerts check new-policy.yaml',
  ])
    .argument('[file]', 'a policy file, in place of your own')
    .addOption(json())
    .action(async (file: string | undefined, options) => {
      process.exitCode = (await import('./check.ts')).check(file, options);
    });

  add(alerts, 'replay', 'Show what would have fired, from what was recorded', [
    'clawctl egress alerts replay --last 7d',
    'clawctl egress alerts replay --last 24h --policy new-policy.yaml',
  ])
    .argument('[name]', 'only this alert')
    .addOption(new Option('--last <duration>', 'how far to look back').default('7d'))
    .addOption(since())
    .addOption(policy())
    .addOption(json())
    .action(async (name: string | undefined, options) => (await import('./replay.ts')).replay(name, options));

  add(alerts, 'silence', 'Send no messages for a while; alerts still fire and are recorded', [
    'clawctl egress alerts silence blocked_request_spike --for 2h --reason "load test"',
    'clawctl egress alerts silence --all --for 30m --agent ci --reason "new build"',
    'clawctl egress alerts silence blocked_request_spike --end',
  ])
    .argument('[name]', 'the alert')
    .option('--all', 'every alert')
    .option('--for <duration>', 'for so long, such as 2h; at most 30d')
    .addOption(agent('only what concerns this agent alone'))
    .option('--reason <text>', 'why, for the record')
    .option('--end', 'end it before its time')
    .addOption(json())
    .action(async (name: string | undefined, options) => {
      process.exitCode = await (await import('./silence.ts')).silence(name, options);
    });

  add(alerts, 'ack', 'Take an incident on, and tell those who were told of it', [
    'clawctl egress alerts ack k7m2p9',
  ])
    .argument('<incident>', 'its code, or the beginning of it, as list and history show it')
    .addOption(json())
    .action(async (id: string, options) => {
      process.exitCode = await (await import('./ack.ts')).ack(id, options);
    });

  add(alerts, 'deliver', 'Deliver what waits, now, and show what does not go through', [
    'clawctl egress alerts deliver',
    'clawctl egress alerts deliver --retry --channel oncall',
  ])
    .option('--retry', 'try also those again that were given up')
    .option('--channel <name>', 'only for this channel or e-mail address')
    .addOption(policy())
    .addOption(json())
    .action(async (options) => {
      process.exitCode = await (await import('./deliver.ts')).deliver(options);
    });
}
