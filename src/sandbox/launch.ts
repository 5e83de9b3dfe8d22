/**
 * Starts a command inside a fence. bubblewrap is started before anything else, and our own program within it; the
 * rest of ours is loaded meanwhile. What follows is in standing.ts.
 */
import { closeSync, constants, openSync, readlinkSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import type { Paths } from '../base/paths.ts';
import { closeDescriptor, memoryFile, socketPair } from '../os/descriptors.ts';
import { adoptOrphans } from '../os/process.ts';
import { bubblewrapArguments } from './bubblewrap.ts';
import { type Canaries, openCanaries } from './canary.ts';
import { snapshotTools } from './changed.ts';
import { channelSecrets, withoutSecrets } from './channelsecrets.ts';
import { BARE_ENVIRONMENT, commandEnvironment } from './environment.ts';
import { fenceFiles } from './etc.ts';
import { fenceFilter } from './filters.ts';
import { bytesToText, type Plan, sendMessage, textToBytes } from './handshake.ts';
import { homeFolders, openHomeLayer } from './home.ts';
import { findBubblewrap, isInFence } from './kernel.ts';
import { isEmptyAt, planMounts, STAGE, socketsInSight } from './mounts.ts';
import { ownProgram } from './program.ts';
import { specialFiles } from './special.ts';
import { end, failureOf, type Sandbox, START_MILLISECONDS, type Started, standUp } from './standing.ts';
import { ownTerminal, prepareStdio } from './stdio.ts';
import { ignoredSignals, isForeground, openFileLimit } from './terminal.ts';
import { openSocketPaths } from './unixsockets.ts';

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

const FIRST_INHERITED = 3;

/** Throws Failure. Nothing is left behind then. */
export async function launch(request: LaunchRequest): Promise<Sandbox> {
  const started = start(request);
  let canaries: Canaries | null = null;
  try {
    // Whoever called has more to load, and the next steps may take some milliseconds.
    await new Promise(setImmediate);
    canaries = openCanaries();
    sendMessage(started.channel, { kind: 'plan', plan: planOf(request, started, canaries) });
    return standUp(started, canaries, snapshotTools(started.mounts.written));
  } catch (error) {
    canaries?.close();
    const failure = await failureOf(started, error);
    await end(started);
    throw failure;
  }
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
    adoptOrphans();
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
      command: request.command[0]!,
      bwrap,
      child,
      channel,
      mounts,
      stdio,
      notices,
      environment: variables,
      dialers: request.dialers,
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
  const files = fenceFiles((path) => isEmptyAt(started.mounts, bytesToText(path))).map(
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
    // The files first: what lies behind is taken out of sight at the end of the others.
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
