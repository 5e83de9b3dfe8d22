/**
 * The thread that carries large transfers from socket to socket inside the kernel. It gives a transfer back as soon
 * as anything but more bytes comes: the end of the stream, a broken socket, silence, or the word to stop.
 */
import { closeSync, readSync } from 'node:fs';
import { compileFromNowOn } from '../base/compiler.ts';
import { closeDescriptor, openPipe, widenPipe } from '../os/descriptors.ts';
import { waitForTurns } from '../os/scheduling.ts';
import { Poll, READABLE, readableFrom, splice, WRITABLE } from '../os/splice.ts';
import { type Back, CARRY, COMMAND, type Setup, SLOTS } from './carrier.ts';

declare const self: Worker;

/** Octets that a pipe may hold: what moves in one step. */
const PIPE = 1 << 20;
/** Octets moved for one transfer before the others have their turn. */
const TURN = 4 << 20;
/**
 * Who gave as many octets at once is waited for to give as many again, for some milliseconds: to go for each that comes
 * would wake the receiver as often, and three programs would do little but take turns.
 */
const PORTION = 512 << 10;
const PATIENCE = 1;
/** Milliseconds without a byte after which a transfer is no longer a large one. */
const SILENCE = 500;
/** Milliseconds between looks at silence. */
const TICK = 250;
/** What the poll calls the pipe with commands; sockets are twice their slot, and one more for the receiving one. */
const COMMANDS = 2 * SLOTS;

interface Transfer {
  slot: number;
  from: number;
  to: number;
  pipe: [number, number];
  /** Octets in the pipe. */
  held: number;
  bytes: number;
  movedAt: number;
  triedAt: number;
  /** Whether it waits for a portion rather than for anything. */
  portioned: boolean;
  /** Whether it waits for the receiving socket rather than the sending one. */
  blocked: boolean;
}

const transfers = new Map<number, Transfer>();
let poll: Poll;
let commands: number;
let counts: Float64Array;

compileFromNowOn();
waitForTurns();
self.onmessage = ({ data }: MessageEvent<Setup | 'wake'>) => {
  if (data !== 'wake') {
    commands = data.commands;
    counts = new Float64Array(data.counts);
    poll = new Poll();
    poll.add(commands, COMMANDS, READABLE);
  }
  // While there is something to carry this thread hears commands only through the pipe.
  do {
    for (const number of poll.wait(longestWait())) {
      if (number === COMMANDS) obey();
      else step(transfers.get(number >> 1));
    }
    for (const transfer of transfers.values()) lookAgain(transfer);
  } while (transfers.size > 0);
};

function longestWait(): number {
  if (transfers.size === 0) return 0;
  return transfers.values().some(({ portioned, blocked }) => portioned && !blocked) ? PATIENCE : TICK;
}

function obey(): void {
  const words = new Int32Array(COMMAND / 4);
  readSync(commands, new Uint8Array(words.buffer));
  const [what, slot, from, to] = words as unknown as [number, number, number, number];
  const transfer = transfers.get(slot);
  if (what === CARRY) begin(slot, from, to);
  else if (transfer !== undefined) giveBack(transfer, 'stopped');
}

function begin(slot: number, from: number, to: number): void {
  const pipe = openPipe();
  widenPipe(pipe[1], PIPE);
  poll.add(from, 2 * slot, READABLE);
  const now = performance.now();
  transfers.set(slot, {
    ...{ slot, from, to, pipe, held: 0, bytes: 0, movedAt: now, triedAt: now },
    ...{ portioned: false, blocked: false },
  });
}

function step(transfer: Transfer | undefined): void {
  // Given back by an earlier event of the same turn.
  if (transfer === undefined) return;
  const { bytes } = transfer;
  const end = move(transfer);
  if (end === 'empty') setPortioned(transfer, transfer.bytes - bytes >= PORTION);
  if (end === 'empty' || end === 'full') wait(transfer, end === 'full');
  else if (end !== 'more') giveBack(transfer, end);
}

/** Moves what can be moved now, and says why not more. */
function move(transfer: Transfer): 'empty' | 'full' | 'more' | Back['why'] {
  const { slot, from, to, pipe } = transfer;
  transfer.triedAt = performance.now();
  for (let moved = 0; moved < TURN; ) {
    if (transfer.held === 0) {
      const taken = splice(from, pipe[1], PIPE);
      if (taken === 'again') return 'empty';
      if (taken === 'failed') return 'from-failed';
      if (taken === 0) return 'ended';
      transfer.held = taken;
    }
    const sent = splice(pipe[0], to, transfer.held);
    if (sent === 'again') return 'full';
    if (sent === 'failed') return 'to-failed';
    transfer.held -= sent;
    transfer.bytes += sent;
    transfer.movedAt = performance.now();
    counts[slot] = transfer.bytes;
    moved += sent;
  }
  return 'more';
}

function setPortioned(transfer: Transfer, portioned: boolean): void {
  if (transfer.portioned === portioned) return;
  transfer.portioned = portioned;
  readableFrom(transfer.from, portioned ? PORTION : 1);
}

/** Only what can go on is waited for: a socket that broke is always ready, and would be so again and again. */
function wait(transfer: Transfer, blocked: boolean): void {
  if (transfer.blocked === blocked) return;
  const { slot, from, to } = transfer;
  transfer.blocked = blocked;
  if (blocked) {
    poll.remove(from);
    poll.add(to, 2 * slot + 1, WRITABLE);
  } else {
    poll.remove(to);
    poll.add(from, 2 * slot, READABLE);
  }
}

/** Less than a portion may have come, or nothing for long. */
function lookAgain(transfer: Transfer): void {
  if (transfer.blocked) return;
  const now = performance.now();
  if (transfer.portioned && now - transfer.triedAt >= PATIENCE) step(transfer);
  else if (now - transfer.movedAt > SILENCE) giveBack(transfer, 'silent');
}

function giveBack(transfer: Transfer, why: Back['why']): void {
  const { slot, from, to, pipe, bytes, blocked } = transfer;
  transfers.delete(slot);
  poll.remove(blocked ? to : from);
  setPortioned(transfer, false);
  const rest = new Uint8Array(transfer.held);
  for (let have = 0; have < rest.length; ) have += readSync(pipe[0], rest, { offset: have });
  for (const fd of [from, to]) closeDescriptor(fd);
  for (const fd of pipe) closeSync(fd);
  self.postMessage({ slot, bytes, rest, why } satisfies Back);
}
