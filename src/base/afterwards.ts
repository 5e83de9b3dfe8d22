/** A deadline for somebody else, which a thread that was busy itself does not take for missed. */

/** Milliseconds for what has come meanwhile: reading a million rules keeps a thread from hearing anything for ten seconds. */
const HEARING = 100;

/** Calls `act` when so many milliseconds are over and what has come by then was heard, unless what it answers is called before. */
export function afterwards(milliseconds: number, act: () => void): () => void {
  let timer = setTimeout(() => {
    timer = setTimeout(act, HEARING);
  }, milliseconds);
  return () => clearTimeout(timer);
}
