/**
 * What every gateway is made of, whether around one fence or for many agents: a policy that follows its files, the
 * kill switch, a recorder, a resolver, and the gateway itself.
 */
import { networkInterfaces } from 'node:os';
import { systemClock } from '../base/clock.ts';
import type { Failure } from '../base/failure.ts';
import type { Paths } from '../base/paths.ts';
import { followKillSwitch, type Kill, killFiles, killText } from '../config/killswitch.ts';
import { type LoadedPolicy, loadPolicy } from '../config/load.ts';
import { watchPolicy } from '../config/watch.ts';
import type { NoticeEvent, Recorder } from '../events/event.ts';
import { openRecorder } from '../events/recorder.ts';
import { createGateway, type Gateway, type GatewayOptions } from '../gateway/gateway.ts';
import type { Refusal } from '../gateway/refusal.ts';
import { type Address, parseAddress } from '../names/address.ts';
import { hostsOf, type Policy, ruleCount, upstreamOf } from '../policy/policy.ts';
import { widenedBy } from '../policy/widening.ts';
import { createResolver } from '../resolve/resolver.ts';

/** How often live connections are judged anew, so that an expiry reaches them within a second. */
const REJUDGE_MILLISECONDS = 400;

export interface CoreRequest {
  /** Whom notices are about. */
  agent: string;
  /** Unique on this machine. */
  session: string;
  paths: Paths;
  policyFile: string | null;
  /** Sees what is recorded on its way to the store. */
  watched?: (recorder: Recorder) => Recorder;
  /** What only some gateways have. */
  gateway?: (policy: () => Policy) => Partial<GatewayOptions>;
}

/** What whoever started it is told while it stands. */
export interface Telling {
  notice(text: string): void;
  /** What went wrong; told also to those who want to be told nothing. */
  failure(failure: Failure): void;
  /** That less is refused than should be, or more than the rules say. */
  alarm(text: string): void;
  refusal(refusal: Refusal): void;
}

export interface Core {
  gateway: Gateway;
  recorder: Recorder;
  loaded: () => LoadedPolicy;
  kills: () => readonly Kill[];
  /** Resolves once the store is there; rejects with a Failure where there cannot be one. */
  opened: Promise<void>;
  record(topic: NoticeEvent['topic'], text: string): void;
  /** Called after a policy has taken the place of another, with what it lets go without saying so. */
  onReplaced: (widened: readonly string[]) => void;
  /** Called after the kill switch has changed. */
  onKills: (kills: readonly Kill[]) => void;
  /** Looks at the policy's files now and takes them, changed or not. */
  reload(): void;
}

/** `closers` end all of it, in the opposite order. Throws Failure where the policy is none, or nothing can be recorded. */
export async function openCore(
  request: CoreRequest,
  telling: Telling,
  closers: AsyncDisposableStack,
): Promise<Core> {
  const { agent, session, paths } = request;
  const clock = systemClock;
  const store = openRecorder({ store: paths.store, onFailure: telling.failure });
  closers.defer(() => store.close());
  // The inside of the fence needs its plan sooner than anybody needs the policy.
  await new Promise(setImmediate);
  const record = (topic: NoticeEvent['topic'], text: string) =>
    store.note({ kind: 'notice', time: clock.now(), agent, session, topic, text });

  const source = request.policyFile === null ? { paths } : { paths, policyFile: request.policyFile };
  // First watched, then read: no change falls between the two.
  const watch = watchPolicy(
    source,
    (next) => {
      const widened = widenedBy(loaded.policy, next.policy);
      loaded = next;
      resolver = resolverOf(next);
      core?.gateway.rejudge();
      record('policy-loaded', [describe(next), ...widened].join('; '));
      core?.onReplaced(widened);
    },
    (failure) => {
      record('policy-rejected', failure.message);
      telling.failure(failure);
    },
  );
  closers.defer(() => watch.close());
  let loaded = loadPolicy(source);
  let resolver = resolverOf(loaded);
  let core: Core | null = null;

  const killSwitch = followKillSwitch(killFiles(paths), (kills) => {
    core?.gateway.rejudge();
    record(kills.length > 0 ? 'killed' : 'resumed', killsText(kills));
    core?.onKills(kills);
  });
  closers.defer(() => killSwitch.close());

  const recorder = request.watched?.(store) ?? store;
  const policy = () => loaded.policy;
  const gateway = createGateway({
    policy,
    clock,
    recorder,
    resolver: () => resolver,
    killed: killSwitch.isKilled,
    selfAddresses: ownAddresses(),
    onRefusal: telling.refusal,
    onBug: createBugReport(telling),
    ...request.gateway?.(policy),
  });
  closers.defer(() => gateway.close());
  const rejudging = setInterval(() => gateway.rejudge(), REJUDGE_MILLISECONDS);
  closers.defer(() => clearInterval(rejudging));
  core = {
    gateway,
    recorder,
    opened: store.opened,
    loaded: () => loaded,
    kills: killSwitch.kills,
    record,
    onReplaced() {},
    onKills() {},
    reload: watch.reload,
  };
  return core;
}

function resolverOf({ policy }: LoadedPolicy) {
  return createResolver({ upstream: upstreamOf(policy), hosts: hostsOf(policy) });
}

export function describe({ policy, files, builtIn }: LoadedPolicy): string {
  const count = ruleCount(policy);
  return `${count} ${count === 1 ? 'rule' : 'rules'} from ${builtIn ? 'the built-in policy' : files.join(', ')}`;
}

export function killsText(kills: readonly Kill[]): string {
  return kills.length === 0 ? 'the kill switch is off again' : kills.map(killText).join('; ');
}

/** A bug costs one connection, which is refused; it is told once. */
function createBugReport({ alarm }: Telling): (bug: unknown) => void {
  let isTold = false;
  return (bug) => {
    if (isTold) return;
    isTold = true;
    alarm(
      `a bug in this program cost a connection; please report it: ${bug instanceof Error ? bug.stack : bug}`,
    );
  };
}

/** The addresses of this machine, which no agent may reach by them. */
function ownAddresses(): Address[] {
  return Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .map(({ address }) => parseAddress(address))
    .filter((address) => address !== null);
}
