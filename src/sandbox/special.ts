/**
 * Sockets and FIFOs in the folders that a command changes for real: both lead to whoever listens outside, through any
 * fence. Those that are there at the start are covered.
 */
import { type Dirent, lstatSync, readdirSync, type Stats } from 'node:fs';
import { type ByteText, bytesToText, textToBytes } from './handshake.ts';

/** A person waits for it; it takes a few milliseconds. */
const MOST_ENTRIES = 3_000;

/** Breadth first, so that what lies near is found in a large folder too. Links are not followed. */
export function specialFiles(roots: readonly string[]): ByteText[] {
  const found: ByteText[] = [];
  const waiting = roots.map((root) => bytesToText(root));
  for (let at = 0, entries = 0; at < waiting.length && entries < MOST_ENTRIES; at++) {
    const folder = waiting[at]!;
    for (const [name, entry] of entriesOf(folder)) {
      entries++;
      if (entry.isDirectory()) waiting.push(`${folder}/${name}`);
      else if (entry.isFIFO() || entry.isSocket()) found.push(`${folder}/${name}`);
    }
  }
  return found;
}

/** What lies in a folder, by name; nothing where it cannot be read. */
export function entriesOf(folder: ByteText): [ByteText, Dirent | Stats][] {
  const path = textToBytes(folder);
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    if (!entries.some(({ name }) => name.includes('\ufffd')))
      return entries.map((entry) => [bytesToText(entry.name), entry]);
    // A name that is no text: its bytes are needed, and the runtime gives them without the kind.
    return readdirSync(path, { encoding: 'buffer' }).map((name) => [
      bytesToText(name),
      lstatSync(Buffer.concat([path, Buffer.from('/'), name])),
    ]);
  } catch {
    return [];
  }
}
