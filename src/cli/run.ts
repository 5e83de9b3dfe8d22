/**
 * `clawctl egress run`: starts to build the fence, loads the rest of the program while it is being built, and
 * reports for the person. Standard output belongs to the command.
 */
import { basename, resolve } from 'node:path';
import { Failure } from '../base/failure.ts';
import { pathsOf } from '../base/paths.ts';
import { isReadByKey } from '../os/terminal.ts';
import { isAgentName } from '../policy/agentname.ts';
import { launch } from '../sandbox/launch.ts';
import { givenBack } from './environment.ts';
import type { RunArguments } from './runarguments.ts';

const STDERR = 2;
/** Sockets that can lead inside at once, where a port is published. */
const DIALERS = 128;

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
  if (words.proxyOnly) return (await import('./proxyonly.ts')).runByProxy(words, agentOf(words));
  const publications =
    words.publish.length === 0 ? [] : (await import('./publication.ts')).publicationsOf(words.publish);
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
    dialers: publications.length === 0 ? 0 : DIALERS,
  });
  launching.catch(() => undefined); // it is awaited further down, and may fail before

  const [{ serveFence }, { createTeller }, { summaryJson, summaryLines, tellingOf }] = await Promise.all([
    import('../compose/fence.ts'),
    import('./teller.ts'),
    import('./runreport.ts'),
  ]);
  const { quiet, json } = words;
  const teller = createTeller({ json, policyFile, isHeld: () => isReadByKey(STDERR) });
  try {
    const outcome = await serveFence(
      { agent, session, paths, policyFile, publications },
      launching,
      tellingOf(teller, quiet),
    );
    const { deliverWaiting, waitingMessages } = await import('./waiting.ts');
    await deliverWaiting(paths, policyFile ?? undefined);
    if (!quiet) for (const text of await waitingMessages(paths, policyFile ?? undefined)) teller.say(text);
    const last = json ? [summaryJson(agent, session, outcome)] : summaryLines(agent, outcome);
    await teller.close(quiet ? [] : last);
    return outcome.code;
  } catch (error) {
    await teller.close([]);
    throw error;
  }
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
