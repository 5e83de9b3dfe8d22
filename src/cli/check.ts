/** `clawctl egress check`: would this host be allowed? */
import { resolve } from 'node:path';
import { EXIT, Failure } from '../base/failure.ts';
import { pathsOf } from '../base/paths.ts';
import { loadPolicy } from '../config/load.ts';
import { authority } from '../names/host.ts';
import { answerFor } from '../policy/answer.ts';
import { ruleText } from '../policy/decide.ts';
import { answerItem, sentenceOf, situation } from './answers.ts';
import { answerLines } from './batch.ts';
import { sayExposed } from './exposed.ts';
import { imitated } from './imitation.ts';
import { green, print, printJson, red, yellow } from './output.ts';
import { DEFAULT_PORT, parseTarget } from './target.ts';

interface Options {
  agent: string;
  batch?: boolean;
  policy?: string;
  json?: boolean;
}

/** Resolves to the exit code. */
export async function check(text: string | undefined, options: Options): Promise<number> {
  const paths = pathsOf();
  if ((options.batch === true) === (text !== undefined))
    throw new Failure('usage', 'Give one host, or --batch and hosts on standard input.');
  const asked = text === undefined ? null : parseTarget(text);
  const { policy, files } = loadPolicy(policyOf(options, paths));
  sayExposed(files);
  if (asked === null) {
    await answerLines(Bun.stdin.stream(), {
      policy,
      agent: options.agent,
      at: (agent) => situation(paths, agent),
      print,
    });
    return EXIT.done;
  }
  const target = { host: asked.host, port: asked.port ?? DEFAULT_PORT, agent: options.agent };
  const answer = answerFor(policy, target, situation(paths, target.agent));
  const { verdict, reason, rule, wouldDeny } = answer;
  const lookalike = imitated(policy)(target, answer);
  if (options.json === true) printJson('check', answerItem(target, answer, lookalike));
  else {
    const word = verdict === 'allow' ? green('✓ allowed') : red('✗ denied');
    const because = rule === null ? '' : `, ${ruleText(rule)}`;
    const like = lookalike === null ? '' : yellow(` It imitates ${lookalike}.`);
    const not = wouldDeny ? ' NOT ENFORCED.' : '';
    print(
      `${word}  ${authority(target.host, target.port)}  ${sentenceOf(reason)} (${reason}${because}).${like}${not}`,
    );
  }
  return verdict === 'allow' ? EXIT.done : EXIT.denied;
}

/** What `loadPolicy` takes for the option `--policy`, which is relative to the working directory. */
export function policyOf(options: { policy?: string }, paths: ReturnType<typeof pathsOf>) {
  return options.policy === undefined ? { paths } : { paths, policyFile: resolve(options.policy) };
}
