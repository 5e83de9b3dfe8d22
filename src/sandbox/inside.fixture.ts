/**
 * For tests: starts the inside in a bare bwrap, as an ordinary user also where the test itself is root, and plays
 * the outside.
 */
import { closeSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { closeDescriptor, memoryFile, openPipe, socketPair } from '../os/descriptors.ts';
import { filterProgram } from '../os/seccomp.ts';
import {
  bytesToText,
  type FailureReport,
  type InsideMessage,
  type LockedReport,
  NEEDED_CAPABILITIES,
  type NetworkReport,
  type Plan,
  type Received,
  receiveMessage,
  sendMessage,
} from './handshake.ts';

/** Nobody's number. Where the test is not root it is whoever runs it. */
export const USER = process.getuid?.() === 0 ? 54_321 : process.getuid!();
const MAIN = `${dirname(import.meta.dir)}/main.ts`;
const asUser =
  process.getuid?.() === 0
    ? ['setpriv', '--reuid', `${USER}`, '--regid', `${USER}`, '--clear-groups', '--inh-caps=-all']
    : [];

/** The program itself, wherever it lies: also below the /tmp that the inside does not see. */
const program = [`${dirname(MAIN)}/..`, process.execPath].flatMap((path) => ['--ro-bind', path, path]);

/** Why the tests cannot run here, or null. */
export function whyNot(): string | null {
  try {
    const { success, stderr } = Bun.spawnSync([
      ...[...asUser, 'bwrap', '--unshare-user', '--unshare-net', '--ro-bind', '/', '/'],
      ...['test', '-r', MAIN],
    ]);
    return success ? null : stderr.toString().trim() || `user ${USER} cannot read ${MAIN}`;
  } catch (error) {
    return String(error);
  }
}

/** The same command in the same namespaces, with every capability there and without a fence. Its stdout. */
export function runUnfenced(command: string[]): string {
  const namespaces = [
    '--unshare-user',
    '--unshare-net',
    '--unshare-pid',
    '--unshare-ipc',
    '--cap-add',
    'ALL',
  ];
  const mounts = ['--ro-bind', '/', '/', '--proc', '/proc', '--dev-bind', '/dev', '/dev', '--tmpfs', '/tmp'];
  return Bun.spawnSync([...asUser, 'bwrap', ...namespaces, ...mounts, ...command], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  }).stdout.toString();
}

export interface Start {
  command: string[];
  plan?: Partial<Plan>;
  /** More arguments for bwrap, after the root. */
  bwrap?: string[];
  /** What the command has as stdin; `socket` is what must be refused. */
  stdin?: 'null' | 'socket';
  /** Whether bwrap's own first process gets a filter too. Yes, unless a test asks what holds without. */
  guard?: boolean;
}

export interface Inside {
  network: Received<NetworkReport>;
  locked: Received<LockedReport>;
  channel: number;
  /** Sends `go`; resolves when the command has ended. */
  finish(): Promise<{ code: number; stdout: string; failure: FailureReport | null }>;
  exited: Promise<number>;
}

/** Up to `locked`. Throws the report where the inside failed before. */
export function startInside({ command, plan = {}, bwrap = [], stdin = 'null', guard = true }: Start): Inside {
  const [ours, theirs] = socketPair(10_000);
  const [output, input] = openPipe();
  const filter = memoryFile('filter', filterProgram('setup'));
  const [, otherEnd] = socketPair();
  const child = Bun.spawn(
    [
      ...[...asUser, 'bwrap', '--unshare-user', '--unshare-net', '--unshare-pid', '--unshare-ipc'],
      ...['--die-with-parent', '--ro-bind', '/', '/', '--proc', '/proc', '--dev-bind', '/dev', '/dev'],
      ...['--tmpfs', '/tmp', ...program, ...bwrap, ...(guard ? ['--seccomp', '4'] : [])],
      ...NEEDED_CAPABILITIES.flatMap((capability) => ['--cap-add', capability]),
      ...[process.execPath, '--no-env-file', '--config=/dev/null', '--no-install', MAIN, '__inner'],
    ],
    {
      stdio: [stdin === 'socket' ? otherEnd : 'ignore', input, 'inherit', theirs, filter],
      env: { PATH: '/usr/bin:/bin' },
    } as never,
  );
  for (const fd of [theirs, input, filter, otherEnd]) closeDescriptor(fd);
  const whole: Plan = {
    command: command.map(bytesToText),
    environment: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
    cwd: '/',
    mounts: [],
    writable: ['/'],
    filter: bytesToText(filterProgram('command')),
    terminal: null,
    ignoredSignals: [],
    openFiles: null,
    canaries: [],
    dialers: 0,
    ...plan,
  };
  sendMessage(ours, { kind: 'plan', plan: whole });
  const next = <T extends InsideMessage>(kind: T['kind']) => {
    const received = receiveMessage<InsideMessage>(ours);
    if (received === null) throw new Error('the inside has died');
    if (received.message.kind !== kind) throw received.message;
    return received as unknown as Received<T>;
  };
  const network = next<NetworkReport>('network');
  const locked = next<LockedReport>('locked');
  return {
    network,
    locked,
    channel: ours,
    exited: child.exited,
    async finish() {
      sendMessage(ours, { kind: 'go' });
      const last = receiveMessage<InsideMessage>(ours);
      const code = await child.exited;
      const stdout = readFileSync(output, 'latin1');
      for (const fd of [ours, output, ...network.descriptors]) closeSync(fd);
      return { code, stdout, failure: last === null ? null : (last.message as FailureReport) };
    },
  };
}
