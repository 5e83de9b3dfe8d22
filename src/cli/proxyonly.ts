/** `clawctl egress run --proxy-only`: the same command line without a fence, and NOT ENFORCED on every line. */
import { resolve } from 'node:path';
import { Failure } from '../base/failure.ts';
import { pathsOf } from '../base/paths.ts';
import { serveProxyOnly } from '../compose/proxyonly.ts';
import { isReadByKey } from '../os/terminal.ts';
import { givenBack } from './environment.ts';
import { proxyVariables } from './proxyvariables.ts';
import type { RunArguments } from './runarguments.ts';
import { summaryJson, summaryLines, tellingOf } from './runreport.ts';
import { createTeller } from './teller.ts';

const STDERR = 2;
/** What only a fence can do. */
const OF_A_FENCE = ['write', 'read', 'socket', 'publish'] as const;

export async function runByProxy(words: RunArguments, agent: string): Promise<number> {
  const asked = OF_A_FENCE.find((name) => words[name].length > 0) ?? (words.fresh ? 'fresh' : undefined);
  if (asked !== undefined)
    throw new Failure(
      'usage',
      `--${asked} is about the fence, and with --proxy-only there is none.`,
      'Leave one of the two out.',
    );
  const session = crypto.randomUUID();
  const { quiet, json } = words;
  const policyFile = words.policy === null ? null : resolve(words.policy);
  const teller = createTeller({ json, policyFile, isHeld: () => isReadByKey(STDERR), enforced: false });
  try {
    const outcome = await serveProxyOnly(
      {
        ...{ agent, session, paths: pathsOf(), command: words.command, cwd: process.cwd() },
        policyFile,
        environment: (proxy, token) => ({
          ...withoutProxies(givenBack(process.env)),
          ...Object.fromEntries(proxyVariables({ agent, proxy, token, credentials: true })),
        }),
      },
      tellingOf(teller, quiet),
    );
    const last = json
      ? [summaryJson(agent, session, outcome, false)]
      : [...summaryLines(agent, outcome, false)];
    await teller.close(quiet ? [] : last);
    return outcome.code;
  } catch (error) {
    await teller.close([]);
    throw error;
  }
}

/** Exceptions and other proxies would lead around this one. */
function withoutProxies(environment: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name]) => !/^((https?|ftp|all|no|rsync|socks)_proxy|npm_config_(https?_|no)?proxy)$/i.test(name),
    ),
  );
}
