/** Files that others than their owner may change or read, though what stands in them is what others may not decide. */
import { statSync } from 'node:fs';

export interface Exposure {
  message: string;
  fix: string;
}

const WRITABLE_BY_OTHERS = 0o022;
const OPEN_TO_EVERYBODY = 0o006;

/** Of these files, those that group or others may write: they could allow themselves anything. Never throws. */
export function writableByOthers(files: readonly string[]): Exposure[] {
  return files
    .filter((file) => (modeOf(file) & WRITABLE_BY_OTHERS) !== 0)
    .map((file) => ({
      message: `others may write ${file}, and so the rules`,
      fix: `Type: chmod go-w ${file}`,
    }));
}

/** Of these private keys, those that everybody on this machine can read or write. Never throws. */
export function keysForEverybody(files: readonly string[]): Exposure[] {
  return files
    .filter((file) => (modeOf(file) & OPEN_TO_EVERYBODY) !== 0)
    .map((file) => ({ message: `everybody can read the key ${file}`, fix: `Type: chmod o-rwx ${file}` }));
}

/** Of what a link leads to; 0 where nothing is seen. */
function modeOf(file: string): number {
  try {
    return statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  } catch {
    return 0;
  }
}
