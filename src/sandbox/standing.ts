/**
 * A fence from the moment that bwrap was started: it waits until the network inside stands and until everything is
 * given up, looks for itself, lets the command go, and ends.
 */
import { constants as osConstants } from 'node:os';
import type { Subprocess } from 'bun';
import { Failure } from '../base/failure.ts';
import { becomesReadable, closeDescriptor, isReadable, limitReads } from '../os/descriptors.ts';
import { OsError } from '../os/libc.ts';
import { statusOf } from '../os/process.ts';
import type { Canaries } from './canary.ts';
import { changedTools, type Snapshot, snapshotTools } from './changed.ts';
import {
  type DialersReport,
  type FenceSocket,
  type InsideMessage,
  type LockedReport,
  type NetworkReport,
  type Received,
  receiveMessage,
  sendMessage,
} from './handshake.ts';
import { failureOfBubblewrap, failureOfInside } from './kernel.ts';
import type { MountPlan } from './mounts.ts';
import { firstBelow, hasEnded, isAbandoned, orphanedFences } from './processes.ts';
import type { Stdio } from './stdio.ts';
import { controlJob } from './terminal.ts';
import { broken, checkProcesses, checkSockets } from './verify.ts';

/** What the fence's network is made of. Whoever serves a socket closes it. */
export interface Network {
  /** Sockets that listen inside. */
  listeners: { tcp: number; dnsUdp: number[]; dnsTcp: number[] };
  /** For readRefusals; null where the kernel cannot log. Closed by `stop`. */
  refusalLog: number | null;
  /** As many as were asked for. */
  dialers: number[];
}

/** Its functions are called in their order. Those that wait for the inside block: nothing else is to be done then. */
export interface Sandbox {
  /** Waits until the fence's network stands. Throws Failure. */
  network(): Promise<Network>;
  /** Waits until the inside has given everything up, and looks from outside whether the fence holds. Throws Failure. */
  verify(): Promise<void>;
  /** What the person must be told, a sentence each. Complete after `verify`. */
  notices: string[];
  /** Starts the command. */
  go(): void;
  /** The command's exit code, when it and all its processes have ended and their output has been taken. */
  exited: Promise<number>;
  /** Files in the workspace that tools execute and that the command has changed. */
  changedTools(): string[];
  /** Ends whatever still runs. May be called at any time, and again. */
  stop(): Promise<void>;
}

/** From the end of bwrap until the kernel has ended everything inside. */
const END_MILLISECONDS = 5_000;
const EXIT_OF_SIGNAL = 128;

/** A fence that is being built: bwrap has been started. */
export interface Started {
  /** The command's own name, for sentences. */
  command: string;
  bwrap: string;
  child: Subprocess;
  channel: number;
  mounts: MountPlan;
  stdio: Stdio;
  notices: string[];
  environment: Record<string, string>;
  /** How many dialers the plan asks for. */
  dialers: number;
  /** Descriptors that are closed at the end. */
  owned: number[];
  /** Called once, at the end. */
  release: () => void;
}

/** A start that has not said a word by then never will. */
export const START_MILLISECONDS = 20_000;
/** For so long nothing else is done while the inside is waited for. */
const SLICE_MILLISECONDS = 50;

/** Throws Failure. */
async function untilReadable({ channel, bwrap, child }: Started): Promise<void> {
  const deadline = performance.now() + START_MILLISECONDS;
  limitReads(channel, SLICE_MILLISECONDS);
  while (!becomesReadable(channel)) {
    if (performance.now() > deadline) throw unanswered();
    // What it leaves may hold the channel, and wait for it for ever.
    if (hasEnded(child.pid)) throw failureOfBubblewrap(bwrap, await child.exited);
    await new Promise(setImmediate);
  }
  limitReads(channel, START_MILLISECONDS);
}

/** Blocks. Throws Failure. */
async function nextMessage<T extends InsideMessage>(
  started: Started,
  kind: T['kind'],
): Promise<T & { descriptors: number[]; pid: number }> {
  const received: Received<InsideMessage> | null = receiveMessage<InsideMessage>(started.channel);
  if (received === null) throw failureOfBubblewrap(started.bwrap, await started.child.exited);
  const { message, descriptors, pid } = received;
  if (message.kind === 'failed') throw failureOfInside(message, started.command);
  if (message.kind !== kind) throw broken(`it sent '${message.kind}' in place of '${kind}'`);
  return { ...(message as T), descriptors, pid };
}

/** `tools`: how the workspace looked before. */
export function standUp(started: Started, canaries: Canaries, tools: Snapshot): Sandbox {
  const { channel, mounts, notices } = started;
  let inside = 0;
  let first: number | undefined;
  const { promise: exited, resolve, reject } = Promise.withResolvers<number>();
  exited.catch(() => undefined); // whoever has called `go` awaits it
  let verified = false;
  let isGone = false;
  let ended: Promise<void> | null = null;
  const stop = () => {
    ended ??= (async () => {
      canaries.close();
      await end(started, first);
      if (!isGone) reject(new Error('stopped before it was started'));
    })();
    return ended;
  };
  const explained = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw await failureOf(started, error);
    }
  };
  return {
    notices,
    exited,
    stop,
    network: () =>
      explained(async () => {
        await untilReadable(started);
        const network = await nextMessage<NetworkReport>(started, 'network');
        started.owned.push(...network.descriptors);
        inside = network.pid;
        first = statusOf(inside)?.parent;
        started.stdio.begin();
        const dialers: number[] = [];
        for (let isLast = started.dialers === 0; !isLast; ) {
          const report = await nextMessage<DialersReport>(started, 'dialers');
          started.owned.push(...report.descriptors);
          dialers.push(...report.descriptors);
          isLast = report.isLast;
        }
        checkSockets([...network.descriptors, ...dialers], inside);
        const of = (...names: FenceSocket[]) =>
          network.descriptors.filter((_, index) => names.includes(network.sockets[index]!));
        const refusalLog = of('refusals')[0] ?? null;
        // Whoever serves a listener closes it.
        started.owned = [channel, ...(refusalLog === null ? [] : [refusalLog])];
        if (!network.ipv6) notices.push('this kernel has no IPv6: the fence is one of IPv4 alone');
        const listeners = {
          tcp: of('tcp')[0]!,
          dnsUdp: of('dnsUdp4', 'dnsUdp6'),
          dnsTcp: of('dnsTcp4', 'dnsTcp6'),
        };
        return { listeners, refusalLog, dialers };
      }),
    verify: () =>
      explained(async () => {
        const locked = await nextMessage<LockedReport>(started, 'locked');
        if (locked.pid !== inside) broken('another process speaks for the one inside');
        // All else holds, but it would not end with us.
        if (hasEnded(started.child.pid)) broken('bubblewrap is gone');
        if (mounts.layer !== null && mounts.layer.folder !== null && locked.layers[0] === 'memory')
          notices.push(
            'this file system cannot hold the copy of the home: changes in it are kept in memory and dropped at the end',
          );
        checkProcesses(inside);
        if (await canaries.visited()) broken('a process inside reached a port of ours');
        canaries.close();
        verified = true;
      }),
    go() {
      if (!verified || isGone) throw new Error('go before verify');
      const job = controlJob(inside);
      try {
        sendMessage(channel, { kind: 'go' });
      } catch {
        job.end();
        throw lastWord(started) ?? unanswered();
      }
      isGone = true;
      finish(started, first).then(resolve, reject).finally(job.end);
    },
    changedTools: () => changedTools(tools, snapshotTools(mounts.written, 'after'), mounts.written),
  };
}

/** Resolves to the exit code when nothing of the fence runs any more. Throws Failure if nothing could be executed. */
async function finish(started: Started, first: number | undefined): Promise<number> {
  const { child, channel, command } = started;
  await child.exited;
  await endOrphans(child);
  await until(isAbandoned, first);
  await started.stdio.drained();
  const last = isReadable(channel) ? receiveMessage<InsideMessage>(channel) : null;
  if (last !== null && last.message.kind === 'failed') throw failureOfInside(last.message, command);
  if (child.exitCode !== null) return child.exitCode;
  return EXIT_OF_SIGNAL + osConstants.signals[child.signalCode as NodeJS.Signals];
}

/** Waits for what happens to the first process of the pid namespace, mostly sooner than any timer rings. */
async function until(holds: (first: number) => boolean, first: number | undefined): Promise<void> {
  const began = performance.now();
  for (let passed = 0; first !== undefined && !holds(first) && passed < END_MILLISECONDS; ) {
    await new Promise((resolve) => (passed < 1 ? setImmediate(resolve) : setTimeout(resolve, 1)));
    passed = performance.now() - began;
  }
}

/** Ends all of it, however far it is, and gives back what it holds. */
export async function end(started: Started, first?: number): Promise<void> {
  const { child } = started;
  const last = first ?? firstBelow(child.pid);
  child.kill('SIGKILL');
  await child.exited;
  await endOrphans(child);
  // Its mounts end with it, and nobody else may have the layer before.
  await until(hasEnded, last);
  await started.stdio.drained();
  for (const fd of started.owned.splice(0)) closeDescriptor(fd);
  started.release();
  started.release = () => {};
}

/**
 * All of a fence die with bwrap, but not before they have said so to the kernel: in its first millisecond they can
 * outlive it. They are children of ours then.
 */
async function endOrphans(bubblewrap: Subprocess): Promise<void> {
  if (bubblewrap.signalCode === null) return;
  for (const first of orphanedFences()) {
    process.kill(first, 'SIGKILL');
    await until(hasEnded, first);
  }
}

/** What a start failed of, for a person: first of all what the inside says itself. */
export async function failureOf(started: Started, error: unknown): Promise<unknown> {
  const told = lastWord(started);
  if (told !== null) return told;
  if (isHangup(error)) {
    started.child.kill('SIGKILL');
    return failureOfBubblewrap(started.bwrap, await started.child.exited);
  }
  return isSilence(error) ? unanswered() : error;
}

/** The failure that the inside has told of and nobody has read, or null. */
function lastWord({ channel, command }: Started): Failure | null {
  try {
    while (isReadable(channel)) {
      const received = receiveMessage<InsideMessage>(channel);
      if (received === null) return null;
      for (const fd of received.descriptors) closeDescriptor(fd);
      if (received.message.kind === 'failed') return failureOfInside(received.message, command);
    }
  } catch {
    // Nothing that could be understood.
  }
  return null;
}

/** bubblewrap may be gone before it was told anything. */
const isHangup = (error: unknown) => error instanceof OsError && ['EPIPE', 'ECONNRESET'].includes(error.code);
const isSilence = (error: unknown) => error instanceof OsError && error.code === 'EAGAIN';
const unanswered = () =>
  new Failure('sandbox-broken', 'The inside of the fence does not answer. The command was not started.');
