/** Which paths must be covered so that a store stays hidden although `--read` shows a part of it. */
import { readdirSync } from 'node:fs';
import { isWithin } from './folders.ts';

/**
 * `shown` are real paths. The store itself where none of them lies in it; nothing where one is or contains it;
 * else what lies beside them. What is put there later, while the fence stands, is then not covered.
 */
export function concealed(store: string, shown: readonly string[]): string[] {
  if (shown.some((path) => isWithin(store, path))) return [];
  if (!shown.some((path) => isWithin(path, store))) return [store];
  return readdirSync(store).flatMap((name) => concealed(`${store}/${name}`, shown));
}
