/**
 * Starts one of this room's workers. In the compiled program they are embedded under the path that they have
 * below `src/`; an address relative to this file would lead out of the program, to the machine it was built on.
 */
const EMBEDDED = '/$bunfs/root/';

export function startWorker(name: 'recorder' | 'keeper'): Worker {
  if (Bun.main.startsWith(EMBEDDED)) return new Worker(`${EMBEDDED}events/${name}.worker.ts`);
  return new Worker(new URL(`./${name}.worker.ts`, import.meta.url));
}
