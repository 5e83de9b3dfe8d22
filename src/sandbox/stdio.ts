/**
 * Descriptors 0 to 2 of the command: a terminal, a pipe or /dev/null, nothing else. A socket could be connected
 * anew outside the fence's network and a file opened anew for more than was meant, so these stay outside and are
 * copied through a pipe. A program of the system (`cat`) copies, one for each, so that a slow reader or writer
 * stalls neither the gateway nor the other copies.
 */
import { fstatSync, openSync, readlinkSync, type Stats } from 'node:fs';
import type { Subprocess } from 'bun';
import { Failure } from '../base/failure.ts';
import { closeDescriptor, openPipe } from '../os/descriptors.ts';
import { isTerminal } from '../os/terminal.ts';
import { BARE_ENVIRONMENT } from './environment.ts';
import { systemProgram } from './program.ts';

export interface Stdio {
  /** What bwrap inherits as 0, 1 and 2. */
  child: [number, number, number];
  /** Closes what only the child needs, and starts to copy. Call after it has been started, and once. */
  begin(): void;
  /** When all that the command has written has been taken, also where copying had not begun. Ends the copy of stdin. */
  drained(): Promise<void>;
}

type Kind = 'passed' | 'copied' | 'closed';

const NULL_DEVICE = 0x103; // major 1, minor 3

/** What becomes of a descriptor. */
export function kindOf(fd: number): Kind {
  let found: Stats;
  try {
    found = fstatSync(fd);
  } catch {
    return 'closed';
  }
  if (found.isFIFO()) return 'passed';
  if (found.isCharacterDevice()) return found.rdev === NULL_DEVICE || isTerminal(fd) ? 'passed' : 'copied';
  return 'copied';
}

/** Copies are made of this process's own 0, 1 and 2. */
export function prepareStdio(): Stdio {
  const toClose: number[] = [];
  const copies: { source: number; sink: number; isInput: boolean }[] = [];
  const child = [0, 1, 2].map((fd) => {
    const kind = kindOf(fd);
    if (kind === 'passed') return fd;
    if (kind === 'closed') {
      const nothing = openSync('/dev/null', fd === 0 ? 'r' : 'w');
      toClose.push(nothing);
      return nothing;
    }
    const [readEnd, writeEnd] = openPipe();
    toClose.push(readEnd, writeEnd);
    copies.push(
      fd === 0 ? { source: 0, sink: writeEnd, isInput: true } : { source: readEnd, sink: fd, isInput: false },
    );
    return fd === 0 ? readEnd : writeEnd;
  }) as [number, number, number];
  // One file for both (`> log 2>&1`): one pipe, or the lines would change their order.
  if (copies.some(({ sink }) => sink === 1) && copies.some(({ sink }) => sink === 2) && isSameFile(1, 2)) {
    copies.splice(
      copies.findIndex(({ sink }) => sink === 2),
      1,
    );
    child[2] = child[1];
  }
  const cat = copies.length === 0 ? null : systemProgram('cat');
  if (copies.length > 0 && cat === null)
    throw new Failure(
      'sandbox-missing',
      'The program cat is in none of /usr/bin and /bin, and is needed to pass files on.',
    );

  const running: { copy: Subprocess; isInput: boolean }[] = [];
  const begin = () => {
    for (const { source, sink, isInput } of copies.splice(0))
      running.push({
        copy: Bun.spawn([cat!], {
          stdio: [source, sink, 2],
          env: BARE_ENVIRONMENT,
          cwd: '/',
          detached: true, // keys that the person presses are for the command
        }),
        isInput,
      });
    for (const fd of toClose.splice(0)) closeDescriptor(fd);
  };
  return {
    child,
    begin,
    async drained() {
      begin();
      for (const { copy, isInput } of running) {
        if (isInput) copy.kill('SIGKILL');
        await copy.exited;
      }
    },
  };
}

function isSameFile(one: number, other: number): boolean {
  const [a, b] = [fstatSync(one), fstatSync(other)];
  return a.dev === b.dev && a.ino === b.ino;
}

/** The terminal among 0 to 2 by its name, such as `/dev/pts/3`, and the descriptor; null where there is none. */
export function ownTerminal(): { fd: 0 | 1 | 2; path: string } | null {
  for (const fd of [0, 1, 2] as const) {
    if (!isTerminal(fd)) continue;
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      if (path.startsWith('/dev/') && fstatSync(fd).isCharacterDevice()) return { fd, path };
    } catch {
      // a terminal without a name here; /dev/tty still leads to it
    }
  }
  return null;
}
