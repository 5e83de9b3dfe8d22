/**
 * The command and the person's terminal. The command leads a process group of its own in the foreground, so that
 * keys (Ctrl-C, Ctrl-Z) and a changed window reach it and not us, and so that it cannot signal us as its group.
 * The person's shell however watches us. So we stop when the command stops, go on when we are told to, and pass
 * on signals that are sent to us.
 */
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { foregroundGroup, setForegroundGroup, signalsIn, statusOf } from '../os/process.ts';
import { namespaceDepth, stateOf } from './processes.ts';

const TO_THE_GROUP = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
const TO_THE_COMMAND = ['SIGUSR1', 'SIGUSR2'] as const;
const LOOK_MILLISECONDS = 100;
/** The runtime ignores these for itself; a person hardly ever does. */
const SIGPIPE = 13;
const SIGXFSZ = 25;

const ownGroup = () => stateOf('self')!.group;

/** Whether we are the job in the foreground of this terminal: only then may its foreground be passed on. */
export function isForeground(terminal: number): boolean {
  return foregroundGroup(terminal) === ownGroup();
}

/** The numbers of signals that the person had set to be ignored. */
export function ignoredSignals(): number[] {
  const mask = statusOf('self')?.ignoredSignals ?? 0n;
  return signalsIn(mask).filter((signal) => signal !== SIGPIPE && signal !== SIGXFSZ);
}

/** The soft limit of open files that our parent has: the runtime has raised our own. Null if it cannot be read. */
export function openFileLimit(): number | null {
  try {
    const limits = readFileSync(`/proc/${process.ppid}/limits`, 'latin1');
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? null : Number(soft);
  } catch {
    return null;
  }
}

export interface JobControl {
  /** Puts the terminal back and passes no more signals on. */
  end(): void;
}

/** `pid`: the command, which leads or is about to lead a group of its own. */
export function controlJob(pid: number): JobControl {
  const group = ownGroup();
  const terminal = openTerminal();
  const pass = (target: number) => (signal: NodeJS.Signals) => {
    try {
      process.kill(target, signal);
    } catch {
      // It has ended.
    }
  };
  const toGroup = pass(-pid);
  const toCommand = pass(pid);
  // Who is stopped hears nothing until it goes on.
  const endGroup = (signal: NodeJS.Signals) => {
    toGroup(signal);
    toGroup('SIGCONT');
  };
  for (const signal of TO_THE_GROUP) process.on(signal, endGroup);
  for (const signal of TO_THE_COMMAND) process.on(signal, toCommand);

  /** True as long as nobody but us may have put the command where it is. */
  const giveForeground = () => {
    if (terminal !== null && foregroundGroup(terminal) === group) setForegroundGroup(terminal, pid);
  };
  const goOn = () => {
    giveForeground();
    toGroup('SIGCONT');
  };
  process.on('SIGCONT', goOn);
  let stopped = false;
  const look = () => {
    const now = stateOf(pid);
    if (now === null) return;
    const isStopped = now.state === 'T';
    if (now.group === pid && !isStopped) giveForeground();
    if (isStopped && !stopped && terminal !== null) {
      takeForeground(terminal, group);
      process.kill(0, 'SIGTSTP');
    }
    stopped = isStopped;
  };
  const looking = terminal === null ? null : setInterval(look, LOOK_MILLISECONDS);

  return {
    end() {
      if (looking !== null) clearInterval(looking);
      process.off('SIGCONT', goOn);
      for (const signal of TO_THE_GROUP) process.off(signal, endGroup);
      for (const signal of TO_THE_COMMAND) process.off(signal, toCommand);
      if (terminal === null) return;
      takeForeground(terminal, group);
      closeSync(terminal);
    },
  };
}

/** Unless the person has given it to another job by now. What has no process or lies in the fence is ours to take. */
function takeForeground(terminal: number, group: number): void {
  const now = foregroundGroup(terminal);
  if (now === null || now === group) return;
  if (!isAlive(now) || namespaceDepth(now) > namespaceDepth('self')) setForegroundGroup(terminal, group);
}

function isAlive(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function openTerminal(): number | null {
  try {
    return openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY);
  } catch {
    return null; // a service, or a pipeline far from any terminal
  }
}
