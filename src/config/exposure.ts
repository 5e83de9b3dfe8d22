/** Files that others than their owner may change or read, though what stands in them is what others may not decide. */
import { statSync } from 'node:fs';

export interface Exposure {
  message: string;
  fix: string;
}

const WRITABLE_BY_ALL = 0o002;
const WRITABLE_BY_GROUP = 0o020;
const OPEN_TO_EVERYBODY = 0o006;

/** Of these files, those that group or others may write: they could allow themselves anything. Never throws. */
export function writableByOthers(files: readonly string[]): Exposure[] {
  return files
    .filter((file) => {
      const { mode, isPrivate } = seen(file);
      return (mode & (isPrivate ? WRITABLE_BY_ALL : WRITABLE_BY_ALL | WRITABLE_BY_GROUP)) !== 0;
    })
    .map((file) => ({
      message: `others may write ${file}, and so the rules`,
      fix: `Type: chmod go-w ${file}`,
    }));
}

/** Of these private keys, those that everybody on this machine can read or write. Never throws. */
export function keysForEverybody(files: readonly string[]): Exposure[] {
  return files
    .filter((file) => (seen(file).mode & OPEN_TO_EVERYBODY) !== 0)
    .map((file) => ({ message: `everybody can read the key ${file}`, fix: `Type: chmod o-rwx ${file}` }));
}

/**
 * Of what a link leads to; no mode where nothing is seen. `isPrivate`: the group has the owner's number, as where every
 * user has a group of their own and files may be written by it from the beginning.
 */
function seen(file: string): { mode: number; isPrivate: boolean } {
  try {
    const stats = statSync(file, { throwIfNoEntry: false });
    return { mode: stats?.mode ?? 0, isPrivate: stats !== undefined && stats.gid === stats.uid };
  } catch {
    return { mode: 0, isPrivate: false };
  }
}
