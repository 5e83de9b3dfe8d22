/**
 * The inside of a starting fence: bwrap has executed this program in new user, network, pid and ipc namespaces,
 * with the mounts and the few capabilities that are needed here. It builds the network, hands the sockets out,
 * mounts the layers, gives up everything and becomes the command. Nothing of it is left then. It loads no library,
 * nor those of the runtime: a person waits for it.
 */
import { MOST_DESCRIPTORS } from '../os/descriptors.ts';
import { openDialers } from '../os/dialers.ts';
import { EINVAL, ENOENT, errnoName } from '../os/errno.ts';
import { executeFile, resetSignals } from '../os/execute.ts';
import { kindAt, makeFile } from '../os/files.ts';
import { check, cString, libc, OsError } from '../os/libc.ts';
import { lockDown } from '../os/lockdown.ts';
import {
  coverFile,
  coverFolder,
  detachMount,
  mountMemory,
  mountOverlay,
  mountTerminals,
  moveMount,
  protectMount,
  replaceFile,
  stopPropagation,
} from '../os/mount.ts';
import { addLocalRoutes, raiseLoopback } from '../os/netlink.ts';
import { openRefusalLog } from '../os/nflog.ts';
import { applyRules } from '../os/nftables.ts';
import { limitOpenFiles, makeForeground, signalsIn, statusOf } from '../os/process.ts';
import {
  hasIpv6,
  isFromOtherNetwork,
  knockAtPort,
  knockAtUnixSocket,
  mayBeSocket,
  openDatagram,
  openListener,
} from '../os/sockets.ts';
import {
  CHANNEL,
  type FenceSocket,
  type Mount,
  type OutsideMessage,
  type Plan,
  receiveMessage,
  type Step,
  sendMessage,
  textToBytes,
} from './handshake.ts';
import { DNS_PORT, fenceRules, GATEWAY_PORT, LOG_GROUP } from './rules.ts';

const EXIT_OURS = 125;
const EXIT_NOT_EXECUTABLE = 126;
const EXIT_NOT_FOUND = 127;

let step: Step = 'descriptors';

/** Never returns: becomes the command, or tells the outside what failed and exits. */
export function inner(): never {
  try {
    refuseSockets();
    refuseOutside();
    sendNetwork();
    step = 'plan';
    const plan = awaitPlan();
    step = 'mount';
    stopPropagation();
    const layers = plan.mounts.map(perform).filter((layer) => layer !== null);
    if (plan.dialers > 0) sendDialers(plan.dialers);
    step = 'cwd';
    check('chdir', libc.chdir(cString(textToBytes(plan.cwd))), plan.cwd);
    step = 'lockdown';
    if (plan.openFiles !== null) limitOpenFiles(plan.openFiles);
    const landlock = lockDown(plan.writable.map(textToBytes), textToBytes(plan.filter));
    step = 'canary';
    knockAtCanaries(plan);
    sendMessage(CHANNEL, { kind: 'locked', layers, landlock });
    const ignored = ignoredByUs(plan); // while the outside looks for itself
    step = 'execute';
    awaitGo();
    makeForeground(plan.terminal);
    resetSignals(ignored);
    fail(
      executeFile(plan.command.map(textToBytes), plan.environment.map(textToBytes)),
      plan.command[0] ?? '',
    );
  } catch (error) {
    const isOs = error instanceof OsError;
    report(
      isOs ? error.call : '',
      isOs ? error.code : '',
      error instanceof Error ? error.message : '',
      EXIT_OURS,
    );
  }
}

/** A socket that came as stdin, stdout or stderr could be connected anew, outside our network. */
function refuseSockets(): void {
  for (const fd of [0, 1, 2])
    if (mayBeSocket(fd)) throw new Error(`descriptor ${fd} is a socket of the outside`);
}

/**
 * What follows takes a network over: it must be one that was made for it, or root who starts this by hand (or a
 * bwrap that does not do as it is told) would lose the machine's.
 */
function refuseOutside(): void {
  if (!isFromOtherNetwork(CHANNEL)) throw new Error('there is no outside, or its network is this one');
}

function sendNetwork(): void {
  step = 'loopback';
  raiseLoopback();
  step = 'routes';
  const ipv6 = hasIpv6();
  addLocalRoutes(ipv6 ? [4, 6] : [4]);
  step = 'firewall';
  const refusals = raiseFirewall(ipv6 ? '46' : '4');
  step = 'listeners';
  const sockets: [FenceSocket, number][] = [
    ['tcp', openListener(ipv6 ? 'any' : 'any4', GATEWAY_PORT)],
    // On the very address that the redirection leads to, or answers would leave from another one.
    ['dnsUdp4', openDatagram('loopback4', DNS_PORT)],
    ['dnsTcp4', openListener('loopback4', DNS_PORT)],
  ];
  if (ipv6)
    sockets.push(
      ['dnsUdp6', openDatagram('loopback6', DNS_PORT)],
      ['dnsTcp6', openListener('loopback6', DNS_PORT)],
    );
  if (refusals !== null) sockets.push(['refusals', refusals]);
  sendMessage(
    CHANNEL,
    { kind: 'network', sockets: sockets.map(([name]) => name), ipv6, refusalLog: refusals !== null },
    sockets.map(([, fd]) => fd),
  );
}

/** The log is the one part that a fence can do without: it refuses as well in silence. Returns its socket. */
function raiseFirewall(families: '4' | '46'): number | null {
  try {
    const log = openRefusalLog(LOG_GROUP);
    applyRules(fenceRules(families, 'logged'));
    return log;
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
    applyRules(fenceRules(families, 'silent'));
    return null;
  }
}

/** Here they are closed by the lockdown, as everything else is. */
function sendDialers(count: number): void {
  step = 'listeners';
  const fds = [...openDialers(count, 4), ...(hasIpv6() ? openDialers(count, 6) : [])];
  for (let at = 0; at < fds.length; at += MOST_DESCRIPTORS) {
    const isLast = at + MOST_DESCRIPTORS >= fds.length;
    sendMessage(CHANNEL, { kind: 'dialers', isLast }, fds.slice(at, at + MOST_DESCRIPTORS));
  }
}

function awaitPlan(): Plan {
  const message = awaitMessage();
  if (message.kind !== 'plan') throw new Error(`'${message.kind}' in place of a plan`);
  return message.plan;
}

function awaitGo(): void {
  const message = awaitMessage();
  if (message.kind !== 'go') throw new Error(`'${message.kind}' in place of go`);
}

function awaitMessage(): OutsideMessage {
  const received = receiveMessage<OutsideMessage>(CHANNEL);
  if (received === null) process.exit(EXIT_OURS); // the outside has ended: nobody is left to tell
  return received.message;
}

/** For an overlay, where its changes live; otherwise null. */
function perform(mount: Mount): 'kept' | 'memory' | null {
  const target = textToBytes(mount.target);
  switch (mount.kind) {
    case 'overlay':
      return layOver(mount);
    case 'move':
      moveMount(textToBytes(mount.source), target);
      return null;
    case 'hide':
      hide(target);
      return null;
    case 'protect':
      if (kindAt(target) !== null) protectMount(target);
      return null;
    case 'file':
      putFile(textToBytes(mount.source), target, textToBytes(mount.content));
      return null;
    case 'terminals':
      mountTerminals(target);
      return null;
    case 'detach':
      detachMount(target);
      return null;
  }
}

function layOver(overlay: Extract<Mount, { kind: 'overlay' }>): 'kept' | 'memory' {
  const lower = textToBytes(overlay.lower);
  const target = textToBytes(overlay.target);
  try {
    mountOverlay(lower, textToBytes(overlay.upper), textToBytes(overlay.work), target);
    return 'kept';
  } catch (error) {
    const cannotHold = error instanceof OsError && error.call === 'mount' && error.errno === EINVAL;
    if (!cannotHold || overlay.spare === null) throw error;
  }
  const spare = textToBytes(overlay.spare);
  mountMemory(spare, overlay.memory);
  const [upper, work] = ['/upper', '/work'].map((name) => Buffer.concat([spare, Buffer.from(name)]));
  const { chmodSync, mkdirSync, statSync } = process.getBuiltinModule('node:fs'); // hardly ever needed
  for (const folder of [upper!, work!]) mkdirSync(folder);
  chmodSync(upper!, statSync(lower).mode); // the layer's folder is what the command sees as the lower one's
  mountOverlay(lower, upper!, work!, target);
  detachMount(spare);
  return 'memory';
}

function putFile(source: Buffer, target: Buffer, content: Buffer): void {
  makeFile(source, content);
  if (kindAt(target) === null) makeFile(target, Buffer.of());
  replaceFile(source, target);
}

/** What cannot be reached here, the command cannot reach either. */
function hide(target: Buffer): void {
  const kind = kindAt(target);
  if (kind === 'folder') coverFolder(target);
  if (kind === 'other') coverFile(target);
}

function knockAtCanaries(plan: Plan): void {
  for (const canary of plan.canaries) {
    if (canary.kind === 'loopback') knockAtPort(canary.family, canary.port);
    else knockAtUnixSocket(textToBytes(canary.name), canary.abstract);
  }
}

function ignoredByUs(plan: Plan): number[] {
  const status = statusOf('self');
  if (status === null) throw new Error('no /proc');
  return signalsIn(status.ignoredSignals).filter((signal) => !plan.ignoredSignals.includes(signal));
}

function fail(errno: number, command: string): never {
  const exit = errno === ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
  report('execve', errnoName(errno), command, exit);
}

function report(call: string, errno: string, detail: string, exit: number): never {
  try {
    sendMessage(CHANNEL, { kind: 'failed', step, call, errno, detail, exit });
  } catch {
    // The outside has ended; the exit code is all that is left.
  }
  process.exit(exit);
}
