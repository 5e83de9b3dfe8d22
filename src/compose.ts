/**
 * The one place where the rooms are put together: a policy that follows its file, a recorder, a resolver, the
 * DNS stub with its addresses, and the gateway, behind the sockets of one sandbox. Everything is closed in
 * the opposite order, and nothing runs in the sandbox before all of it stands.
 */
import { networkInterfaces } from 'node:os';
import { systemClock } from './base/clock.ts';
import { compileFromNowOn } from './base/compiler.ts';
import type { Failure } from './base/failure.ts';
import type { Paths } from './base/paths.ts';
import { isKilled } from './config/killswitch.ts';
import { type LoadedPolicy, loadPolicy } from './config/load.ts';
import { watchPolicy } from './config/watch.ts';
import { createQuestionLog } from './dns/questions.ts';
import { serveStub } from './dns/serve.ts';
import { createStub } from './dns/stub.ts';
import { createSyntheticAddresses } from './dns/synthetic.ts';
import type { NoticeEvent, Recorder } from './events/event.ts';
import { openRecorder } from './events/recorder.ts';
import { createGateway, type RefusedPacket } from './gateway/gateway.ts';
import type { Refusal } from './gateway/refusal.ts';
import { type Address, addressOf, parseAddress } from './names/address.ts';
import { readLastRefusals, readRefusals, type RefusedPacket as SeenPacket } from './os/nflog.ts';
import { hostsOf, modeOf, ruleCount, upstreamOf } from './policy/policy.ts';
import { createResolver } from './resolve/resolver.ts';
import type { Sandbox } from './sandbox/launch.ts';

/** How often live connections are judged anew, so that a kill or an expiry reaches them within a second. */
const REJUDGE_MILLISECONDS = 400;
/** How often packets that the fence refused are collected. */
const PACKET_MILLISECONDS = 100;

export interface FenceRequest {
  agent: string;
  session: string;
  paths: Paths;
  policyFile: string | null;
}

/** What the person is told while the fence stands. */
export interface Telling {
  notice(text: string): void;
  /** What went wrong while the fence stands; told also to those who want to be told nothing. */
  failure(failure: Failure): void;
  /** That the fence refuses less than it should. */
  alarm(text: string): void;
  refusal(refusal: Refusal): void;
}

/** What the session did, for the line at its end. The store has it in full. */
export interface Tally {
  requests: number;
  blocked: number;
  /** Allowed, and nobody could be reached. */
  failed: number;
  hosts: Set<string>;
}

export interface Outcome {
  /** The command's exit code. */
  code: number;
  tally: Tally;
  /** Files in the workspace that tools execute and that have changed. */
  changedTools: string[];
}

/** Stands a gateway up around a sandbox that is being launched, lets the command go, and stays until it ends. */
export async function serveFence(
  request: FenceRequest,
  launching: Promise<Sandbox>,
  telling: Telling,
): Promise<Outcome> {
  const { agent, session, paths } = request;
  const clock = systemClock;
  // Closed in the opposite order, however this ends.
  await using closers = new AsyncDisposableStack();
  closers.defer(() => whenThere(launching, (sandbox) => sandbox.stop()));
  // Its thread starts while this one makes the plan of the fence and reads the policy.
  const opening = openRecorder({ store: paths.store, onFailure: telling.failure });
  closers.defer(() => whenThere(opening, (recorder) => recorder.close()));
  // The inside of the fence needs its plan sooner than anybody needs the policy.
  await new Promise(setImmediate);
  const notice = (topic: NoticeEvent['topic'], text: string) =>
    whenThere(opening, (recorder) =>
      recorder.note({ kind: 'notice', time: clock.now(), agent, session, topic, text }),
    );

  const source = request.policyFile === null ? { paths } : { paths, policyFile: request.policyFile };
  let onReplaced = () => {};
  // First watched, then read: no change falls between the two.
  const watch = watchPolicy(
    source,
    (next) => {
      loaded = next;
      resolver = resolverOf(next);
      onReplaced();
      notice('policy-loaded', describe(next));
    },
    (failure) => {
      notice('policy-rejected', failure.message);
      telling.failure(failure);
    },
  );
  closers.defer(() => watch.close());
  let loaded = loadPolicy(source);
  let resolver = resolverOf(loaded);

  const tally: Tally = { requests: 0, blocked: 0, failed: 0, hosts: new Set() };
  const recorder = counted(await opening, tally);
  const gateway = createGateway({
    policy: () => loaded.policy,
    clock,
    recorder,
    resolver: () => resolver,
    killed: () => isKilled(paths.kill),
    selfAddresses: ownAddresses(),
    onRefusal: telling.refusal,
    onBug: createBugReport(telling),
  });
  closers.defer(() => gateway.close());
  onReplaced = gateway.rejudge;

  const sandbox = await launching;
  const names = createSyntheticAddresses({ clock });
  const questions = createQuestionLog({ clock, agent, session, note: recorder.note });
  const stub = createStub({
    synthetic: names,
    onQuestion: questions.asked,
    onExhausted: questions.exhausted,
  });
  const stubServer = await serveStub(stub, sandbox.listeners);
  closers.defer(() => {
    stubServer.close();
    questions.close();
  });
  gateway.serveTransparent({ fd: sandbox.listeners.tcp, agent, session, ...names });
  const rejudging = setInterval(() => gateway.rejudge(), REJUDGE_MILLISECONDS);
  const { refusalLog } = sandbox;
  const refusePackets = (packets: readonly SeenPacket[], unseen = 0) => {
    const missed = packets.reduce((sum, packet) => sum + packet.missed, unseen);
    if (missed > 0) gateway.refuseUnseenPackets(session, agent, missed);
    for (const packet of packets) gateway.refusePacket(session, packetOf(packet, agent));
  };
  const collectPackets = () => {
    if (refusalLog !== null) refusePackets(readRefusals(refusalLog));
  };
  const collecting = setInterval(collectPackets, PACKET_MILLISECONDS);
  closers.defer(() => {
    clearInterval(rejudging);
    clearInterval(collecting);
  });

  await sandbox.verify();
  for (const text of sandbox.notices) telling.notice(text);
  if (modeOf(loaded.policy) === 'observe') telling.alarm('NOT ENFORCED: the policy only observes');
  notice('gateway-started', describe(loaded));
  sandbox.go();
  compileFromNowOn();
  const code = await sandbox.exited;
  if (refusalLog !== null) {
    const { packets, missed } = readLastRefusals(refusalLog, sandbox.listeners.dnsUdp[0]!);
    refusePackets(packets, missed);
  }
  notice('gateway-stopped', `exit code ${code}`);
  return { code, tally, changedTools: sandbox.changedTools() };
}

/** Nothing to be done where there never was one: whoever waits for it has heard why. */
function whenThere<T>(coming: Promise<T>, act: (there: T) => void | Promise<void>): Promise<void> {
  return coming.then(act, () => undefined);
}

function resolverOf({ policy }: LoadedPolicy) {
  return createResolver({ upstream: upstreamOf(policy), hosts: hostsOf(policy) });
}

function describe({ policy, files, builtIn }: LoadedPolicy): string {
  const count = ruleCount(policy);
  return `${count} ${count === 1 ? 'rule' : 'rules'} from ${builtIn ? 'the built-in policy' : files.join(', ')}`;
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

/** A name counted beyond this many is not worth the memory. */
const MOST_HOSTS = 10_000;

/** The same recorder; what passes through it is counted. */
function counted(recorder: Recorder, tally: Tally): Recorder {
  return {
    decide(event) {
      const { count = 1 } = event;
      tally.requests += count;
      if (event.verdict !== 'allow') tally.blocked += count;
      if (tally.hosts.size < MOST_HOSTS) tally.hosts.add(event.host);
      return recorder.decide(event);
    },
    note(event) {
      if (event.kind === 'refusal') tally.blocked++;
      if (event.kind === 'close' && event.outcome === 'failed') tally.failed++;
      recorder.note(event);
    },
    get writable() {
      return recorder.writable;
    },
    flush: () => recorder.flush(),
    close: () => recorder.close(),
  };
}

/** Stands for the destination of what is no IP packet. */
const UNREADABLE = Uint8Array.of(0, 0, 0, 0);

function packetOf({ protocol, address, port }: SeenPacket, agent: string): RefusedPacket {
  const kind = protocol === 17 ? 'udp' : protocol === 1 || protocol === 58 ? 'icmp' : 'other';
  const known = address.length === 0 ? UNREADABLE : address;
  return { agent, protocol: kind, destination: addressOf(known), port: port ?? 0 };
}

/** The addresses of this machine, which no agent may reach by them. */
function ownAddresses(): Address[] {
  return Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .map(({ address }) => parseAddress(address))
    .filter((address) => address !== null);
}
