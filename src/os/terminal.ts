/** What a program has made of a terminal (termios(3), tty_ioctl(4)). */
import { libc } from './libc.ts';

const TCGETS = 0x5401;
/** struct termios of the kernel: four flag words, the line discipline, control characters. */
const TERMIOS_BYTES = 60;
const LOCAL_FLAGS = 3;
const ICANON = 0o2;

/** As isatty(3). The runtime's own answer comes with its streams, which take longer to load than all of ours. */
export function isTerminal(fd: number): boolean {
  return flagsOf(fd) !== null;
}

/**
 * Whether somebody reads the terminal key by key rather than line by line: an editor, a pager, a shell at its
 * prompt. What others write then lands in the middle of what they draw. False where it is no terminal.
 */
export function isReadByKey(fd: number): boolean {
  const flags = flagsOf(fd);
  return flags !== null && (flags[LOCAL_FLAGS]! & ICANON) === 0;
}

/** Null where it is no terminal. */
function flagsOf(fd: number): Uint32Array | null {
  const flags = new Uint32Array(TERMIOS_BYTES / 4);
  return libc.ioctl(fd, TCGETS, flags) === 0 ? flags : null;
}
