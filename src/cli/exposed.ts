/** What the commands that load the policy tell of its files. */
import { writableByOthers } from '../config/exposure.ts';
import { printableLines, say, sayRaw } from './output.ts';

export function sayExposed(files: readonly string[]): void {
  for (const { message, fix } of writableByOthers(files)) {
    say(`warning: ${printableLines(message)}`);
    sayRaw(`  ${printableLines(fix)}\n`);
  }
}
