/**
 * `run --proxy-only`: a command beside a proxy of its own, without a fence. Programs that obey proxy variables are
 * judged and recorded; nothing keeps the others, or the same ones, from going around it.
 */
import { constants } from 'node:os';
import { createAlerts } from '../alerts/engine/start.ts';
import { systemClock } from '../base/clock.ts';
import { compileFromNowOn } from '../base/compiler.ts';
import { Failure } from '../base/failure.ts';
import { digestOf } from '../config/tokens.ts';
import { createIdentity } from '../gateway/identity.ts';
import { serveProxy } from '../gateway/proxylistener.ts';
import { describe, killsText, openCore, type Telling } from './core.ts';
import { counted, type FenceRequest, type Outcome, type Tally } from './fence.ts';

const EXIT_OF_SIGNAL = 128;
const NOT_ENFORCED =
  'NOT ENFORCED: there is no fence; a program that does not obey the proxy variables goes where it likes';

export interface ProxyOnlyRequest extends Omit<FenceRequest, 'publications'> {
  command: readonly string[];
  cwd: string;
  /** The person's own, to which the proxy's variables are added. */
  environment: (proxy: string, token: string) => Record<string, string>;
}

export async function serveProxyOnly(request: ProxyOnlyRequest, telling: Telling): Promise<Outcome> {
  const { agent, session, command } = request;
  await using closers = new AsyncDisposableStack();
  const alerts = createAlerts({ paths: request.paths, policyFile: request.policyFile });
  closers.defer(() => alerts.stop());
  const tally: Tally = { requests: 0, blocked: 0, failed: 0, hosts: new Set() };
  // Other programs of this machine can reach the port too; only this command knows the token.
  const token = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url');
  const tokens = new Map([[agent, { digest: digestOf(token), created: systemClock.now() }]]);
  const core = await openCore(
    {
      ...request,
      watched: (recorder) => counted(recorder, tally, alerts.wake),
      gateway: (policy) => ({ identities: createIdentity({ policy, tokens: () => tokens }) }),
    },
    telling,
    closers,
  );
  await core.opened;
  core.onKills = (kills) => telling.alarm(killsText(kills));
  const { port } = serveProxy(core.gateway, {
    where: { hostname: '127.0.0.1', port: 0 },
    proxyProtocol: [],
    agent: null,
    session,
  });
  telling.alarm(NOT_ENFORCED);
  if (core.kills().length > 0) telling.alarm(killsText(core.kills()));
  core.record('gateway-started', `${NOT_ENFORCED}; ${describe(core.loaded())}`);
  compileFromNowOn();
  alerts.wakeLater();
  const code = await outcomeOf(command, request.cwd, request.environment(`http://127.0.0.1:${port}`, token));
  core.record('gateway-stopped', `exit code ${code}`);
  return { code, tally, changedTools: [] };
}

/** It shares the terminal and the process group: what a person presses reaches both, and is the command's business. */
async function outcomeOf(
  command: readonly string[],
  cwd: string,
  env: Record<string, string>,
): Promise<number> {
  let child: Bun.Subprocess;
  try {
    child = Bun.spawn([...command], { cwd, env, stdio: ['inherit', 'inherit', 'inherit'] });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new Failure('command-not-found', `${command[0]}: there is no such command.`);
    throw new Failure('command-not-executable', `${command[0]}: it cannot be executed (${code}).`);
  }
  const ignore = () => {};
  const pass = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, ignore);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, pass);
  await child.exited;
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.off(signal, ignore);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.off(signal, pass);
  return child.exitCode ?? EXIT_OF_SIGNAL + constants.signals[child.signalCode as NodeJS.Signals];
}
