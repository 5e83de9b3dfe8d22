/** Sending what is in pieces. */
import type { Socket } from './socket.ts';

/** Up to so many octets go together: a copy costs less than a system call. */
const TOGETHER_MAX = 65_536;

/** As `socket.write`. False: stop until `onDrain`. */
export function writeAll(socket: Socket, pieces: readonly Uint8Array[]): boolean {
  if (pieces.length === 1) return socket.write(pieces[0]!);
  let octets = 0;
  for (const { length } of pieces) octets += length;
  if (octets <= TOGETHER_MAX) return octets === 0 || socket.write(Buffer.concat(pieces, octets));
  let room = true;
  for (const piece of pieces) room = socket.write(piece);
  return room;
}
