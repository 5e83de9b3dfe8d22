/**
 * `clawctl egress run`: starts to build the fence, loads the rest of the program while it is being built, and
 * reports for the person. Standard output belongs to the command.
 */
import { basename, resolve } from 'node:path';
import { Failure } from '../base/failure.ts';
import { pathsOf } from '../base/paths.ts';
import type { Outcome } from '../compose/fence.ts';
import { printable } from '../names/display.ts';
import { isReadByKey } from '../os/terminal.ts';
import { isAgentName } from '../policy/agentname.ts';
import { launch } from '../sandbox/launch.ts';
import { givenBack } from './environment.ts';
import { jsonText } from './output.ts';
import type { RunArguments } from './runarguments.ts';

const STDERR = 2;

/** Resolves to the exit code: the command's own, or 125 to 127 (see RUN_EXIT). */
export async function run(words: RunArguments): Promise<number> {
  try {
    return await fence(words);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return (await import('./report.ts')).report(error, true);
  }
}

async function fence(words: RunArguments): Promise<number> {
  const paths = pathsOf();
  const agent = agentOf(words);
  const session = crypto.randomUUID();
  const policyFile = words.policy === null ? null : resolve(words.policy);
  const launching = launch({
    command: words.command,
    agent,
    session,
    writes: words.write.map((path) => resolve(path)),
    reads: words.read.map((path) => resolve(path)),
    sockets: words.socket.map((path) => ({ path: resolve(path), force: words.force })),
    fresh: words.fresh,
    quiet: words.quiet,
    environment: givenBack(process.env),
    cwd: process.cwd(),
    paths,
    policyFiles: [paths.policy, paths.machinePolicy, ...(policyFile === null ? [] : [policyFile])],
  });
  launching.catch(() => undefined); // it is awaited further down, and may fail before

  const [{ serveFence }, { createTeller }] = await Promise.all([
    import('../compose/fence.ts'),
    import('./teller.ts'),
  ]);
  const { quiet, json } = words;
  const teller = createTeller({ json, isHeld: () => isReadByKey(STDERR) });
  try {
    const outcome = await serveFence({ agent, session, paths, policyFile }, launching, {
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
    });
    const last = json ? [summaryJson(agent, session, outcome)] : summaryLines(agent, outcome);
    await teller.close(quiet ? [] : last);
    return outcome.code;
  } catch (error) {
    await teller.close([]);
    throw error;
  }
}

function summaryLines(agent: string, { tally, changedTools }: Outcome): string[] {
  const { requests, blocked, failed, hosts } = tally;
  const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`;
  const lines = [
    `clawctl: ${agent} made ${count(requests, 'request')} to ${count(hosts.size, 'host')}, ${blocked} blocked${failed > 0 ? `, ${failed} failed` : ''}; see: clawctl egress ${blocked > 0 ? 'blocked' : 'stats'} --agent ${agent}`,
  ];
  // Whoever works here next may run what they say.
  if (changedTools.length > 0)
    lines.unshift(
      `clawctl: look before you use them, tools execute what these changed files say: ${changedTools.map(printable).join(', ')}`,
    );
  return lines;
}

function summaryJson(agent: string, session: string, { code, tally, changedTools }: Outcome): string {
  return jsonText({
    ...{ schema: 'clawctl.egress.run/v1', agent, session, exit_code: code },
    ...{ ...tally, hosts: tally.hosts.size },
    changed_files: changedTools,
  });
}

function agentOf(words: RunArguments): string {
  if (words.agent !== null) {
    if (!isAgentName(words.agent))
      throw new Failure(
        'usage',
        'An agent needs a plain name.',
        'Use letters, digits and . _ + @ -, at most 64, and begin with a letter or digit.',
      );
    return words.agent;
  }
  const plain = basename(words.command[0]!)
    .replace(/[^A-Za-z0-9._+@-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64);
  return plain === '' ? 'command' : plain;
}
