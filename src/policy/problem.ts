/** What is wrong with a policy file, where, and what to write instead. */
import { closest, distance } from 'fastest-levenshtein';
import { printable } from '../names/display.ts';

export interface Problem {
  file: string;
  /** Both count from 1; the column counts UTF-16 units. */
  line: number;
  column: number;
  message: string;
  fix: string | null;
  /** The line as it stands in the file. */
  excerpt: string;
}

const WIDEST_EXCERPT = 160;

/**
 * As a compiler shows it:
 *
 *     /home/a/.config/clawctl/egress.yaml:3:1: unknown key 'alow'
 *       alow: [example.com]
 *       ^
 *       Did you mean 'allow'?
 */
export function problemText(problem: Problem): string {
  const { file, line, column, message, fix, excerpt } = problem;
  const start = Math.max(0, Math.min(column - 1 - WIDEST_EXCERPT / 2, excerpt.length - WIDEST_EXCERPT));
  const before = printable(excerpt.slice(start, column - 1));
  const after = printable(excerpt.slice(column - 1, start + WIDEST_EXCERPT));
  const lines = [`${printable(file)}:${line}:${column}: ${printable(message)}`];
  if (excerpt.trim() !== '') lines.push(`  ${before}${after}`, `  ${' '.repeat(before.length)}^`);
  if (fix !== null) lines.push(`  ${printable(fix)}`);
  return lines.join('\n');
}

/** `Did you mean 'allow'?` where one of the words is near enough to be meant, else the list of them. */
export function didYouMean(word: string, words: readonly string[]): string {
  const best = words.length === 0 ? null : closest(word.toLowerCase().slice(0, 100), words);
  if (
    best !== null &&
    distance(word.toLowerCase(), best) <= Math.min(best.length - 1, Math.max(2, best.length / 3))
  )
    return `Did you mean '${best}'?`;
  return `Possible: ${words.join(', ')}.`;
}
