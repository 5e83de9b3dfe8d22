/**
 * Files are looked at, not subscribed to (docs/decisions/0011-polling.md): what tells one state of a file from
 * another, and when everybody on this thread looks. All look at one moment, since it is being woken that costs.
 */
import { type BigIntStats, lstatSync, statSync } from 'node:fs';
import { codeOf } from './fileerror.ts';

const LOOK_MILLISECONDS = 100;

const looks = new Set<() => void>();
let pace = LOOK_MILLISECONDS;
let timer: Timer | null = null;

/** Calls `look` ten times a second, until what it answers is called. */
export function keepLooking(look: () => void): () => void {
  looks.add(look);
  timer ??= setInterval(lookNow, pace);
  return () => {
    looks.delete(look);
    if (looks.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
}

/** For a thread that is in no hurry: what looks from now on looks so many milliseconds apart. */
export function lookEvery(milliseconds: number): void {
  pace = milliseconds;
}

function lookNow(): void {
  for (const look of looks) look();
}

export interface FileState {
  /** Is another after every change: of what is there, and of why nothing can be seen. */
  text: string;
  /** Octets; 0 where no file is seen. */
  size: number;
  /** Which file it is: another one in its place is another. Null where none is seen. */
  file: string | null;
}

const NOTHING: FileState = { text: '', size: 0, file: null };

/** Of what a link leads to. Never throws. */
export function stateOf(path: string): FileState {
  try {
    const link = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (link === undefined) return NOTHING;
    const { dev, ino, birthtimeNs, size, mode, uid, mtimeNs, ctimeNs }: BigIntStats = link.isSymbolicLink()
      ? statSync(path, { bigint: true })
      : link;
    // A number alone is given to the next file as soon as it is free.
    const file = `${dev} ${ino} ${birthtimeNs}`;
    return { text: `${file} ${size} ${mode} ${uid} ${mtimeNs} ${ctimeNs}`, size: Number(size), file };
  } catch (error) {
    return { ...NOTHING, text: codeOf(error) ?? 'unknown' };
  }
}
