/** What `run` says while and after the command runs, with a fence or without. */
import type { Telling } from '../compose/core.ts';
import type { Outcome } from '../compose/fence.ts';
import { printable } from '../names/display.ts';
import { jsonText } from './output.ts';
import type { Teller } from './teller.ts';

export function tellingOf(teller: Teller, quiet: boolean): Telling {
  return {
    notice: (text) => {
      if (!quiet) teller.say(text);
    },
    alarm: teller.say,
    failure: ({ code, message, fix }) => {
      const kept = code.startsWith('policy')
        ? 'the policy is broken, and the one before it stays in force: '
        : '';
      teller.say([kept + message, ...(fix === undefined ? [] : [fix])].join('\n  '));
    },
    refusal: (refusal) => {
      if (!quiet) teller.refusal(refusal);
    },
  };
}

export function summaryLines(agent: string, { tally, changedTools }: Outcome, enforced = true): string[] {
  const { requests, blocked, failed, hosts } = tally;
  const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`;
  const lines = [
    `clawctl: ${enforced ? '' : 'NOT ENFORCED: '}${agent} made ${count(requests, 'request')} to ${count(hosts.size, 'host')}${enforced ? '' : ' by the proxy'}, ${blocked} blocked${failed > 0 ? `, ${failed} failed` : ''}; see: clawctl egress ${blocked > 0 ? 'blocked' : 'stats'} --agent ${agent}`,
  ];
  // Whoever works here next may run what they say.
  if (changedTools.length > 0)
    lines.unshift(
      `clawctl: look before you use them, tools execute what these changed files say: ${changedTools.map(printable).join(', ')}`,
    );
  return lines;
}

export function summaryJson(
  agent: string,
  session: string,
  { code, tally, changedTools }: Outcome,
  enforced = true,
): string {
  return jsonText({
    ...{ schema: 'clawctl.egress.run/v1', agent, session, exit_code: code, enforced },
    ...{ ...tally, hosts: tally.hosts.size },
    changed_files: changedTools,
  });
}
