/**
 * One worker of a service: a gateway behind the sockets that its supervisor gives it. It ends with its supervisor,
 * and when it is told to; what it obeys comes over the channel and from the files of the policy.
 */
import { readFileSync } from 'node:fs';
import { createAlerts } from '../alerts/engine/start.ts';
import { systemClock } from '../base/clock.ts';
import { compileFromNowOn } from '../base/compiler.ts';
import { Failure } from '../base/failure.ts';
import { killText } from '../config/killswitch.ts';
import { watchTokens } from '../config/tokens.ts';
import { createQuestionLog } from '../dns/questions.ts';
import { serveStub } from '../dns/serve.ts';
import { createStub } from '../dns/stub.ts';
import { createSyntheticAddresses } from '../dns/synthetic.ts';
import { createIdentity } from '../gateway/identity.ts';
import { serveProxy } from '../gateway/proxylistener.ts';
import type { Refusal } from '../gateway/refusal.ts';
import { type Counted, UNIDENTIFIED } from '../gateway/session.ts';
import { leavingRoom } from '../gateway/usage.ts';
import { closeDescriptor, duplicateDescriptor, receiveDescriptors } from '../os/descriptors.ts';
import { endWithParent, openFilesLimit } from '../os/process.ts';
import type { ListenEntry } from '../policy/listener.ts';
import { listenOf } from '../policy/policy.ts';
import { Ledger, SLOTS_OF_GENERATION } from '../service/ledger.ts';
import { CHANNEL, type FromWorker, type Served, type Start, type ToWorker } from '../service/message.ts';
import { createSharedUsage } from '../service/sharedusage.ts';
import { type Core, describe, killsText, openCore, type Telling } from './core.ts';

const BEAT_MILLISECONDS = 200;
const REFUSALS_MILLISECONDS = 50;
const MOST_REFUSALS = 100;
/** Descriptors for the store, the policy, the resolver and whatever else is not a connection. */
const SPARE_DESCRIPTORS = 256;
/** A connection has one to its client and one to its origin. */
const DESCRIPTORS_A_CONNECTION = 2;
/** Of the connections that there are descriptors for, what one agent may have at most. */
const SHARE_OF_ONE = 3 / 4;

interface Open {
  entry: ListenEntry;
  fds: number[];
  close(): void;
}

/** Never resolves: the process ends. */
export async function work(): Promise<never> {
  endWithParent();
  process.on('disconnect', () => process.exit(1));
  // Its supervisor decides; a terminal sends these to all.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  const early: ToWorker[] = [];
  let act: (message: ToWorker) => void = (message) => void early.push(message);
  const started = new Promise<Start>((resolve) => {
    process.on('message', (message: ToWorker) => {
      if (message.kind === 'start') resolve(message);
      else act(message);
    });
  });
  const closers = new AsyncDisposableStack();
  try {
    const worker = await openWorker(await started, closers);
    act = worker.act;
    tell({ kind: 'started' });
    for (const message of early.splice(0)) act(message);
    await worker.drained;
    await closers.disposeAsync();
    process.exit(0);
  } catch (error) {
    const failure = error instanceof Failure ? error : null;
    tell({
      kind: 'failed',
      code: failure?.code ?? 'gateway-broken',
      message: failure?.message ?? String((error as Error).stack ?? error),
      fix: failure?.fix ?? null,
    });
    process.exit(1);
  }
}

const tell = (message: FromWorker) => void process.send!(message);

async function openWorker(start: Start, closers: AsyncDisposableStack) {
  const [memory] = receive(1);
  const clock = systemClock;
  const session = crypto.randomUUID();
  const ledger = new Ledger(Bun.mmap(`/proc/self/fd/${memory}`, { shared: true }));
  const capacity = Math.floor((openFilesLimit() - SPARE_DESCRIPTORS) / DESCRIPTORS_A_CONNECTION);
  let rejected: string | null = null;
  const telling: Telling = {
    notice: (text) => tell({ kind: 'said', text }),
    failure: (failure) => {
      if (failure.code.startsWith('policy')) rejected = failure.message.split('\n')[0]!;
      const kept = failure.code.startsWith('policy')
        ? 'the policy is broken, and the one before it stays in force: '
        : '';
      tell({
        kind: 'said',
        text: [kept + failure.message, ...(failure.fix === undefined ? [] : [failure.fix])].join('\n  '),
      });
    },
    alarm: (text) => tell({ kind: 'said', text }),
    refusal: createRefusalTeller(),
  };
  let core: Core | null = null;
  const tokens = watchTokens(
    start.paths.tokens,
    () => core?.gateway.rejudge(),
    (failure) => {
      telling.failure(failure);
      core?.gateway.rejudge();
    },
  );
  closers.defer(() => tokens.close());
  // One worker evaluates for all; where it dies, it is started anew.
  const evaluates = start.slot % SLOTS_OF_GENERATION === 0;
  const { paths, policyFile, agents, environment } = start;
  const alerts = evaluates ? createAlerts({ paths, policyFile, agents, environment }) : null;
  closers.defer(() => alerts?.stop());
  core = await openCore(
    {
      agent: 'clawctl',
      session,
      paths: start.paths,
      policyFile: start.policyFile,
      gateway: (policy) => ({
        usage: leavingRoom(
          createSharedUsage({ ledger, slot: start.slot, policy, clock }),
          Math.floor(capacity * SHARE_OF_ONE),
        ),
        capacity,
        identities: createIdentity({ policy, tokens: tokens.tokens }),
      }),
    },
    telling,
    closers,
  );
  await core.opened;
  const { gateway, recorder, record, reload, loaded, kills } = core;
  compileFromNowOn();
  alerts?.wake();
  core.onReplaced = (widened) => {
    rejected = null;
    tell({ kind: 'policy', listen: listenOf(loaded().policy) });
    tell({ kind: 'said', text: [`the policy has changed: ${describe(loaded())}`, ...widened].join('\n  ') });
  };
  core.onKills = (kills) => {
    beat();
    tell({ kind: 'said', text: killsText(kills) });
  };
  record('gateway-started', `worker ${start.slot}: ${describe(loaded())}`);
  if (start.restarted !== null) record('worker-restarted', `worker ${start.slot}: ${start.restarted}`);

  const beat = () =>
    tell({
      kind: 'beat',
      connections: gateway.openConnections(),
      writable: recorder.writable,
      rejected,
      kills: kills().map(killText),
    });
  beat();
  const beating = setInterval(beat, BEAT_MILLISECONDS);
  closers.defer(() => clearInterval(beating));

  const names = createSyntheticAddresses({ clock });
  const open = new Map<number, Open>();
  const drained = Promise.withResolvers<void>();
  let isDraining = false;

  /** Listens on copies, so that a listener can be ended and begun anew on the same socket. */
  const serve = async (entry: ListenEntry, fds: readonly number[]): Promise<() => void> => {
    // Before anything is opened: it may fail.
    const tls = entry.kind === 'proxy' && entry.tls !== null ? { tls: readTls(entry.tls) } : {};
    const copies = fds.map(duplicateDescriptor);
    const agent = entry.agent ?? null;
    switch (entry.kind) {
      case 'proxy': {
        const { proxyProtocol } = entry;
        const listeners = copies.map((fd) =>
          serveProxy(gateway, { where: { fd }, ...tls, proxyProtocol, agent, session }),
        );
        return () => {
          for (const listener of listeners) listener.close();
        };
      }
      case 'transparent': {
        const listeners = copies.map((fd) =>
          gateway.serveTransparent({ fd, agent, session, namedByClient: true, ...names }),
        );
        return () => {
          for (const listener of listeners) listener.close();
        };
      }
      case 'dns': {
        const questions = createQuestionLog({
          clock,
          agent: agent ?? UNIDENTIFIED,
          session,
          note: recorder.note,
        });
        const stub = createStub({
          synthetic: names,
          onQuestion: questions.asked,
          onExhausted: questions.exhausted,
        });
        const server = await serveStub(stub, { dnsUdp: [copies[0]!], dnsTcp: [copies[1]!] });
        return () => {
          server.close();
          questions.close();
        };
      }
    }
  };
  const unlisten = (id: number): void => {
    const before = open.get(id);
    if (before === undefined) return;
    open.delete(id);
    before.close();
    for (const fd of before.fds) closeDescriptor(fd);
  };
  /** What was served under the id goes on where the new cannot be, for want of a certificate that can be read. */
  const listen = async (id: number, entry: ListenEntry, fds: number[]): Promise<void> => {
    const before = open.get(id);
    let unused: readonly number[] = fds;
    try {
      open.set(id, { entry, fds, close: await serve(entry, fds) });
      before?.close();
      unused = before?.fds ?? [];
      tell({ kind: 'listening', ids: [id] });
    } catch (error) {
      tell({ kind: 'unserved', id, why: (error as Error).message, kept: keptOf(before?.entry) });
    }
    if (before?.fds !== fds) for (const fd of unused) closeDescriptor(fd);
  };

  const act = (message: ToWorker): void => {
    switch (message.kind) {
      case 'listen':
        for (const { id, entry, fds } of received(message.served)) void listen(id, entry, fds);
        return;
      case 'unlisten':
        for (const id of message.ids) unlisten(id);
        return;
      case 'refused':
        gateway.recall(session, message.refusals);
        return;
      case 'reload':
        reload();
        // Certificates are read when a listener begins.
        for (const [id, { entry, fds }] of [...open])
          if (entry.kind === 'proxy' && entry.tls !== null) void listen(id, entry, fds);
        return;
      case 'drain':
        for (const id of [...open.keys()]) unlisten(id);
        if (!isDraining)
          record(
            'gateway-stopped',
            `worker ${start.slot} ends, with ${gateway.openConnections()} connections open`,
          );
        isDraining = true;
        void gateway.close(message.milliseconds).then(drained.resolve);
        return;
      default:
    }
  };
  return { act, drained: drained.promise };
}

/** A few times a second, however many there are; what is more than an agent would be shown is left out. */
function createRefusalTeller(): (refusal: Refusal) => void {
  let held = new Map<string, Counted>();
  const flush = () => {
    tell({ kind: 'refused', refusals: [...held.values()] });
    held = new Map();
  };
  return (refusal) => {
    const { agent, reason, host, port } = refusal;
    if (agent === UNIDENTIFIED) return;
    const key = `${agent} ${reason} ${port} ${host}`;
    const known = held.get(key);
    if (known !== undefined) {
      known.count++;
      known.refusal = refusal;
    } else if (held.size < MOST_REFUSALS) held.set(key, { refusal, count: 1 });
    if (held.size === 1 && known === undefined) setTimeout(flush, REFUSALS_MILLISECONDS);
  };
}

/** How a listener goes on that could not be begun anew. */
function keptOf(entry: ListenEntry | undefined): string | null {
  if (entry === undefined) return null;
  if (entry.kind !== 'proxy') return 'as it was';
  return entry.tls === null ? 'as it was, without TLS' : 'with the certificate that it had';
}

function readTls({ certificate, key }: { certificate: string; key: string }) {
  return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
}

/** The descriptors that came ahead of a message. */
function receive(count: number): number[] {
  const fds: number[] = [];
  while (fds.length < count) {
    const { fds: more, payload } = receiveDescriptors(CHANNEL, 1);
    if (payload.length === 0) throw new Error('the supervisor broke off');
    fds.push(...more);
  }
  return fds;
}

function received(served: readonly Served[]) {
  const fds = receive(served.reduce((sum, { count }) => sum + count, 0));
  return served.map(({ id, entry, count }) => ({ id, entry, fds: fds.splice(0, count) }));
}
