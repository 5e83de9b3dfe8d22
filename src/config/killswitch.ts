/** The kill switch's file. Present means killed; so does whatever keeps us from seeing that it is absent. */
import { lstatSync } from 'node:fs';

export function isKilled(file: string): boolean {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}
