/** Sending what is in pieces. */
import type { Socket } from './socket.ts';

/** Up to so many octets go together: a copy costs less than a system call. */
const TOGETHER_MAX = 65_536;
/** Where they are put together; taken anew each time it would be garbage by the megabyte. */
const TOGETHER = new Uint8Array(TOGETHER_MAX);

/** As `socket.write`. False: stop until `onDrain`. */
export function writeAll(socket: Socket, pieces: readonly Uint8Array[]): boolean {
  if (pieces.length === 1) return socket.write(pieces[0]!);
  let octets = 0;
  for (const { length } of pieces) octets += length;
  if (octets <= TOGETHER_MAX) {
    if (octets === 0) return true;
    let at = 0;
    for (const piece of pieces) {
      TOGETHER.set(piece, at);
      at += piece.length;
    }
    return socket.writeBorrowed(TOGETHER.subarray(0, octets));
  }
  let room = true;
  for (const piece of pieces) room = socket.write(piece);
  return room;
}
