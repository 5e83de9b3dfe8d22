/**
 * Starts one of our threads, named by its file's path below `src/`. In the compiled program they are embedded under
 * that path; an address relative to a file would lead out of the program, to the machine it was built on.
 */
import { join } from 'node:path';

const EMBEDDED = '/$bunfs/root/';
const SOURCES = join(import.meta.dir, '..');

export function startWorker(file: `${string}.worker.ts`): Worker {
  return new Worker(Bun.main.startsWith(EMBEDDED) ? `${EMBEDDED}${file}` : join(SOURCES, file));
}
