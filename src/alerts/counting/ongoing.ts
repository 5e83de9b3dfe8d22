/**
 * Connections that go on: what has passed on each is recorded again and again, and once more when it closes. Each
 * octet is counted when it was told first.
 */
import { BoundedMap } from './bounded.ts';

interface Passing {
  kind: string;
  session: string;
  connection: number | null;
  bytesUp: number;
  bytesDown: number;
}

/** Of one that is forgotten all is counted again: too much rather than too little. */
const MOST = 20_000;
const NOTHING = { up: 0, down: 0 };

export class Ongoing {
  readonly #told = new BoundedMap<{ up: number; down: number }>(MOST);

  /** Leaves of a row's octets those that no row before it told. */
  settle(row: Passing): void {
    const { kind, session, connection, bytesUp, bytesDown } = row;
    const isOver = kind === 'close';
    if (!isOver && kind !== 'progress') return;
    const key = `${session} ${connection}`;
    const told = this.#told.get(key) ?? NOTHING;
    if (!isOver) this.#told.set(key, { up: bytesUp, down: bytesDown });
    else if (told === NOTHING) return;
    else this.#told.delete(key);
    row.bytesUp = Math.max(0, bytesUp - told.up);
    row.bytesDown = Math.max(0, bytesDown - told.down);
  }
}
