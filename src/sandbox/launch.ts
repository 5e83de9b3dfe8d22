/**
 * Starts a command inside a fence. bubblewrap is started before anything else, and our own program within it; the
 * rest of ours is loaded meanwhile. The command itself starts only by `go`, after `verify`.
 */
import { closeSync, constants, openSync, readlinkSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import type { Subprocess } from 'bun';
import { Failure } from '../base/failure.ts';
import type { Paths } from '../base/paths.ts';
import { closeDescriptor, isReadable, memoryFile, socketPair } from '../os/descriptors.ts';
import { OsError } from '../os/libc.ts';
import { statusOf } from '../os/process.ts';
import { bubblewrapArguments } from './bubblewrap.ts';
import { type Canaries, openCanaries } from './canary.ts';
import { changedTools, type Snapshot, snapshotTools } from './changed.ts';
import { channelSecrets, withoutSecrets } from './channelsecrets.ts';
import { BARE_ENVIRONMENT, commandEnvironment } from './environment.ts';
import { fenceFiles } from './etc.ts';
import { fenceFilter } from './filters.ts';
import { isWithin } from './folders.ts';
import {
  bytesToText,
  type DialersReport,
  type FenceSocket,
  type InsideMessage,
  type LockedReport,
  type NetworkReport,
  type Plan,
  type Received,
  receiveMessage,
  sendMessage,
  textToBytes,
} from './handshake.ts';
import { homeFolders, openHomeLayer } from './home.ts';
import { failureOfBubblewrap, failureOfInside, findBubblewrap, isInFence } from './kernel.ts';
import { type MountPlan, planMounts, STAGE, socketsInSight } from './mounts.ts';
import { hasEnded, isAbandoned } from './processes.ts';
import { ownProgram } from './program.ts';
import { specialFiles } from './special.ts';
import { ownTerminal, prepareStdio, type Stdio } from './stdio.ts';
import { controlJob, ignoredSignals, isForeground, openFileLimit } from './terminal.ts';
import { openSocketPaths } from './unixsockets.ts';
import { broken, checkProcesses, checkSockets } from './verify.ts';

export interface LaunchRequest {
  command: string[];
  /** A plain name, fit to be a folder's. */
  agent: string;
  session: string;
  /** Absolute paths, as the person gave them. */
  writes: string[];
  reads: string[];
  sockets: { path: string; force: boolean }[];
  fresh: boolean;
  quiet: boolean;
  /** The person's, whole. */
  environment: Record<string, string>;
  cwd: string;
  paths: Paths;
  policyFiles: string[];
  /** How many sockets of each family to bring out with which servers of the command can be reached; see os/dialers.ts. */
  dialers: number;
}

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

/** A start that has not said a word by then never will. */
const START_MILLISECONDS = 20_000;
/** From the end of bwrap until the kernel has ended everything inside. */
const END_MILLISECONDS = 5_000;
const FIRST_INHERITED = 3;
const EXIT_OF_SIGNAL = 128;

/** Throws Failure. Nothing is left behind then. */
export async function launch(request: LaunchRequest): Promise<Sandbox> {
  const started = start(request);
  let canaries: Canaries | null = null;
  try {
    // Whoever called has more to load, and the next steps may take some milliseconds.
    await new Promise(setImmediate);
    canaries = openCanaries();
    sendMessage(started.channel, { kind: 'plan', plan: planOf(request, started, canaries) });
    return rising(request, started, canaries, snapshotTools(started.mounts.written));
  } catch (error) {
    canaries?.close();
    await end(started);
    throw await failureOf(started, error);
  }
}

/** Of what has been ended. */
async function failureOf(started: Started, error: unknown): Promise<unknown> {
  if (isHangup(error)) return failureOfBubblewrap(started.bwrap, await started.child.exited);
  return isSilence(error) ? unanswered() : error;
}

/** bubblewrap may be gone before it was told anything. */
const isHangup = (error: unknown) => error instanceof OsError && ['EPIPE', 'ECONNRESET'].includes(error.code);
const isSilence = (error: unknown) => error instanceof OsError && error.code === 'EAGAIN';
const unanswered = () =>
  new Failure('sandbox-broken', 'The inside of the fence does not answer. The command was not started.');

interface Started {
  bwrap: string;
  child: Subprocess;
  channel: number;
  mounts: MountPlan;
  stdio: Stdio;
  notices: string[];
  environment: Record<string, string>;
  /** Descriptors that are closed at the end. */
  owned: number[];
  /** Called once, at the end. */
  release: () => void;
}

/** Everything up to the start of bwrap, at once. */
function start(request: LaunchRequest): Started {
  if (isInFence(process.env) || isInFence(request.environment))
    throw new Failure(
      'run-refused',
      'This already runs inside a fence, and another one cannot be built in it.',
      'Run the command itself: the fence around it holds for it too.',
    );
  const bwrap = findBubblewrap();
  const uid = process.getuid!();
  const program = ownProgram();
  const { HOME, XDG_RUNTIME_DIR } = request.environment;
  const home = openHomeLayer({
    home: HOME,
    state: request.paths.state,
    agent: request.agent,
    fresh: request.fresh,
  });
  const opened: number[] = [];
  try {
    const mounts = planMounts({
      ...request,
      program: program.places,
      homes: homeFolders(HOME, uid),
      layer: home.layer,
      uid,
      runtimeFolder: XDG_RUNTIME_DIR?.startsWith('/') ? XDG_RUNTIME_DIR : null,
    });
    const stdio = prepareStdio();
    const [channel, theirs] = socketPair(START_MILLISECONDS);
    opened.push(theirs);
    const inherited = [theirs];
    const inherit = (fd: number) => {
      opened.push(fd);
      return FIRST_INHERITED + inherited.push(fd) - 1;
    };
    const words = bubblewrapArguments({
      mounts,
      filter: inherit(memoryFile('filter', textToBytes(fenceFilter('setup')))),
      pinned: new Map(mounts.written.map((path) => [path, inherit(holdFolder(path))])),
      terminal: ownTerminal()?.path ?? null,
    });
    // Not as its arguments: those can be read inside, and they name our folders.
    const list = inherit(memoryFile('arguments', Buffer.from(words.map((word) => `${word}\0`).join(''))));
    const child = Bun.spawn([bwrap, '--args', `${list}`, '--', ...program.argv], {
      stdio: [...stdio.child, ...inherited],
      env: BARE_ENVIRONMENT,
      cwd: '/',
    } as never);
    const given = withoutSecrets(request.environment, channelSecrets(request.policyFiles));
    const { variables, credentials } = commandEnvironment(given, {
      runtimeFolder: mounts.runtimeFolder,
      writable: mounts.writable,
    });
    const notices = [...home.notices, ...mounts.notices];
    if (uid === 0)
      notices.unshift(
        'you are root: files and processes are less well isolated; run agents as an ordinary user',
      );
    if (credentials.length > 0)
      notices.push(`the command is given variables that look like credentials: ${credentials.join(', ')}`);
    return {
      bwrap,
      child,
      channel,
      mounts,
      stdio,
      notices,
      environment: variables,
      owned: [channel],
      release: home.release,
    };
  } catch (error) {
    home.release();
    throw error;
  } finally {
    for (const fd of opened) closeDescriptor(fd);
  }
}

/** Opens a folder to be written, so that what is mounted is what was looked at. Throws Failure if it was swapped. */
function holdFolder(path: string): number {
  const O_PATH = 0o10000000;
  const fd = openSync(path, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  if (readlinkSync(`/proc/self/fd/${fd}`) === path) return fd;
  closeSync(fd);
  throw new Failure('run-refused', `${path} was exchanged while it was being looked at.`, 'Try again.');
}

function planOf(request: LaunchRequest, started: Started, canaries: Canaries): Plan {
  const terminal = ownTerminal();
  const { inside, written, admitted } = started.mounts;
  const isPrivate = (path: string) => started.mounts.private.some((folder) => isWithin(path, folder.path));
  const files = fenceFiles(isPrivate).map(
    ({ target, content }, index) =>
      ({ kind: 'file', source: `${STAGE}/file-${index}`, target: bytesToText(target), content }) as const,
  );
  const letIn = admitted.map(bytesToText);
  // Looking through all processes and folders takes a while, so it is done while bwrap works.
  const covered = [
    ...socketsInSight(started.mounts, openSocketPaths()),
    ...specialFiles(written).filter((path) => !letIn.includes(path)),
  ];
  return {
    command: request.command.map(bytesToText),
    environment: Object.entries(started.environment).map(([name, value]) => bytesToText(`${name}=${value}`)),
    cwd: bytesToText(started.mounts.workspace.path),
    mounts: [...files, ...inside, ...covered.map((target) => ({ kind: 'hide', target }) as const)],
    writable: ['/dev', '/proc', ...started.mounts.writable.map(bytesToText)],
    filter: fenceFilter('command'),
    terminal: terminal !== null && isForeground(terminal.fd) ? terminal.fd : null,
    ignoredSignals: ignoredSignals(),
    openFiles: openFileLimit(),
    canaries: canaries.list,
    dialers: request.dialers,
  };
}

/** Blocks. Throws Failure. */
async function nextMessage<T extends InsideMessage>(
  started: Started,
  kind: T['kind'],
  request: LaunchRequest,
): Promise<T & { descriptors: number[]; pid: number }> {
  const received: Received<InsideMessage> | null = receiveMessage<InsideMessage>(started.channel);
  if (received === null) throw failureOfBubblewrap(started.bwrap, await started.child.exited);
  const { message, descriptors, pid } = received;
  if (message.kind === 'failed') throw failureOfInside(message, request.command[0]!);
  if (message.kind !== kind) throw broken(`it sent '${message.kind}' in place of '${kind}'`);
  return { ...(message as T), descriptors, pid };
}

function rising(request: LaunchRequest, started: Started, canaries: Canaries, tools: Snapshot): Sandbox {
  const { channel, mounts, notices } = started;
  const fromInside: number[] = [];
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
  const orStop = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      await stop();
      throw await failureOf(started, error);
    }
  };
  return {
    notices,
    exited,
    stop,
    network: () =>
      orStop(async () => {
        const network = await nextMessage<NetworkReport>(started, 'network', request);
        started.owned.push(...network.descriptors);
        inside = network.pid;
        first = statusOf(inside)?.parent;
        started.stdio.begin();
        const dialers: number[] = [];
        for (let isLast = request.dialers === 0; !isLast; ) {
          const report = await nextMessage<DialersReport>(started, 'dialers', request);
          started.owned.push(...report.descriptors);
          dialers.push(...report.descriptors);
          isLast = report.isLast;
        }
        fromInside.push(...network.descriptors, ...dialers);
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
      orStop(async () => {
        checkSockets(fromInside, inside);
        const locked = await nextMessage<LockedReport>(started, 'locked', request);
        if (locked.pid !== inside) broken('another process speaks for the one inside');
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
      isGone = true;
      const job = controlJob(inside);
      sendMessage(channel, { kind: 'go' });
      finish(started, first, request.command[0]!).then(resolve, reject).finally(job.end);
    },
    changedTools: () => changedTools(tools, snapshotTools(mounts.written, 'after'), mounts.written),
  };
}

/** Resolves to the exit code when nothing of the fence runs any more. Throws Failure if nothing could be executed. */
async function finish(started: Started, first: number | undefined, command: string): Promise<number> {
  await started.child.exited;
  await until(isAbandoned, first);
  await started.stdio.drained();
  const last = isReadable(started.channel) ? receiveMessage<InsideMessage>(started.channel) : null;
  if (last !== null && last.message.kind === 'failed') throw failureOfInside(last.message, command);
  const { exitCode, signalCode } = started.child;
  if (exitCode !== null) return exitCode;
  return EXIT_OF_SIGNAL + osConstants.signals[signalCode as NodeJS.Signals];
}

/** Waits for what happens to the first process of the pid namespace, mostly sooner than any timer rings. */
async function until(holds: (first: number) => boolean, first: number | undefined): Promise<void> {
  const began = performance.now();
  for (let passed = 0; first !== undefined && !holds(first) && passed < END_MILLISECONDS; ) {
    await new Promise((resolve) => (passed < 1 ? setImmediate(resolve) : setTimeout(resolve, 1)));
    passed = performance.now() - began;
  }
}

async function end(started: Started, first?: number): Promise<void> {
  started.child.kill('SIGKILL');
  await started.child.exited;
  // Its mounts end with it, and nobody else may have the layer before.
  await until(hasEnded, first);
  await started.stdio.drained();
  for (const fd of started.owned.splice(0)) closeDescriptor(fd);
  started.release();
  started.release = () => {};
}
