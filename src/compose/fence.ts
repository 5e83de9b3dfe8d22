/**
 * One fence: a gateway behind the sockets of one sandbox, with the DNS stub and its addresses. Everything is closed in
 * the opposite order, and nothing runs in the sandbox before all of it stands.
 */
import { createAlerts } from '../alerts/engine/start.ts';
import { systemClock } from '../base/clock.ts';
import { compileFromNowOn } from '../base/compiler.ts';
import type { Paths } from '../base/paths.ts';
import { type Kill, killOf } from '../config/killswitch.ts';
import { createQuestionLog } from '../dns/questions.ts';
import { serveStub } from '../dns/serve.ts';
import { createStub } from '../dns/stub.ts';
import { createSyntheticAddresses } from '../dns/synthetic.ts';
import type { Recorder } from '../events/event.ts';
import type { RefusedPacket } from '../gateway/gateway.ts';
import { addressOf, parseAddress } from '../names/address.ts';
import { classOf } from '../names/addressclass.ts';
import { readLastRefusals, readRefusals, type RefusedPacket as SeenPacket } from '../os/nflog.ts';
import { modeOf } from '../policy/policy.ts';
import type { Sandbox } from '../sandbox/standing.ts';
import { describe, killsText, openCore, type Telling } from './core.ts';
import type { Publication, Published } from './publish.ts';

/** How often packets that the fence refused are collected. */
const PACKET_MILLISECONDS = 100;

export interface FenceRequest {
  agent: string;
  session: string;
  paths: Paths;
  policyFile: string | null;
  publications: readonly Publication[];
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
  const { agent, session } = request;
  const clock = systemClock;
  // Closed in the opposite order, however this ends.
  await using closers = new AsyncDisposableStack();
  // Nothing to be stopped where there never was one: whoever waits for it has heard why.
  closers.defer(() =>
    launching.then(
      (sandbox) => sandbox.stop(),
      () => {},
    ),
  );
  // Ended when everything is recorded.
  const alerts = createAlerts({ paths: request.paths, policyFile: request.policyFile });
  closers.defer(() => alerts.stop());
  const tally: Tally = { requests: 0, blocked: 0, failed: 0, hosts: new Set() };
  const core = await openCore(
    { ...request, watched: (recorder) => counted(recorder, tally, alerts.wake) },
    telling,
    closers,
  );
  const { gateway, recorder, record } = core;
  const isStopped = (kills: readonly Kill[]) => killOf(kills, agent) !== null;

  const sandbox = await launching;
  const { listeners, refusalLog, dialers } = await sandbox.network();
  const names = createSyntheticAddresses({ clock });
  const questions = createQuestionLog({ clock, agent, session, note: recorder.note });
  const stub = createStub({
    synthetic: names,
    onQuestion: questions.asked,
    onExhausted: questions.exhausted,
  });
  const stubServer = await serveStub(stub, listeners);
  closers.defer(() => {
    stubServer.close();
    questions.close();
  });
  gateway.serveTransparent({ fd: listeners.tcp, agent, session, ...names });
  const refusePackets = (packets: readonly SeenPacket[], unseen = 0) => {
    const missed = packets.reduce((sum, packet) => sum + packet.missed, unseen);
    if (missed > 0) gateway.refuseUnseenPackets(session, agent, missed);
    for (const packet of packets) gateway.refusePacket(session, packetOf(packet, agent));
  };
  const collectPackets = () => {
    if (refusalLog !== null) refusePackets(readRefusals(refusalLog));
  };
  const collecting = setInterval(collectPackets, PACKET_MILLISECONDS);
  closers.defer(() => clearInterval(collecting));

  let published: Published | null = null;
  if (request.publications.length > 0) {
    published = (await import('./publish.ts')).publish(request.publications, dialers);
    closers.defer(published.close);
    published.stop(isStopped(core.kills()));
  }
  core.onKills = (kills) => {
    telling.alarm(killsText(kills));
    published?.stop(isStopped(kills));
  };

  await sandbox.verify();
  for (const text of sandbox.notices) telling.notice(text);
  if (modeOf(core.loaded().policy) === 'observe') telling.alarm('NOT ENFORCED: the policy only observes');
  if (core.kills().length > 0) telling.alarm(killsText(core.kills()));
  const places = request.publications.map(
    ({ host, port, inside }) => `${host}:${port} leads to port ${inside} inside`,
  );
  for (const place of places) telling.notice(place);
  const isOpen = request.publications.some(({ host }) => classOf(parseAddress(host)!) !== 'loopback');
  if (isOpen) telling.notice('a published port can be reached from other machines');
  record('gateway-started', [describe(core.loaded()), ...places].join('; '));
  await core.opened;
  sandbox.go();
  compileFromNowOn();
  alerts.wakeLater();
  const code = await sandbox.exited;
  if (refusalLog !== null) {
    const { packets, missed } = readLastRefusals(refusalLog, listeners.dnsUdp[0]!);
    refusePackets(packets, missed);
  }
  record('gateway-stopped', `exit code ${code}`);
  return { code, tally, changedTools: sandbox.changedTools() };
}

/** A name counted beyond this many is not worth the memory. */
const MOST_HOSTS = 10_000;

/** The same recorder; what passes through it is counted. */
export function counted(recorder: Recorder, tally: Tally, onEvent = () => {}): Recorder {
  return {
    decide(event) {
      onEvent();
      const { count = 1 } = event;
      tally.requests += count;
      if (event.verdict !== 'allow') tally.blocked += count;
      if (tally.hosts.size < MOST_HOSTS) tally.hosts.add(event.host);
      return recorder.decide(event);
    },
    note(event) {
      onEvent();
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
