/**
 * What reaches a person or a pipe. Data goes to standard output, words to standard error. A terminal gets
 * aligned tables with relative times; a pipe gets tab-separated lines with RFC 3339 times; `--json` gets one
 * document with a versioned schema. Text that somebody else chose is made printable on its way out.
 */
import { writeSync } from 'node:fs';
import { formatDuration } from '../base/duration.ts';
import { printable } from '../names/display.ts';
import { isTerminal } from '../os/terminal.ts';

export const onTerminal = isTerminal(1);
const wantsColour = (process.env.NO_COLOR ?? '') === '' && process.env.TERM !== 'dumb';

/**
 * Writes all of it before it returns, so that nothing is lost when the process ends. A reader that has gone
 * away is the end of the job, not an error.
 */
function write(descriptor: 1 | 2, text: string): void {
  let rest: Uint8Array = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') process.exit(0);
      // Somebody who shares this pipe or terminal made it non-blocking.
      if (code !== 'EAGAIN') throw error;
      Bun.sleepSync(1);
    }
  }
}

export const print = (text: string) => write(1, `${text}\n`);
/** One line or more for the person; it may be read by a script, so it starts with our name. */
export const say = (text: string) => write(2, `clawctl: ${text}\n`);
/** Text for standard error that has its line ends already. */
export const sayRaw = (text: string) => write(2, text);

/** Text of several lines, made printable line by line. */
export const printableLines = (text: string) => text.split('\n').map(printable).join('\n');

/** JSON in ASCII: whatever somebody put into a name can neither move a cursor nor turn a line around. */
export const jsonText = (value: object) =>
  JSON.stringify(value).replace(
    /[\x7f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** `kind` as in `blocked`: the schema is `clawctl.egress.blocked/v1`. */
export function printJson(kind: string, fields: object): void {
  print(jsonText({ schema: `clawctl.egress.${kind}/v1`, ...fields }));
}

const paint = (code: number, text: string) =>
  onTerminal && wantsColour ? `\x1b[${code}m${text}\x1b[0m` : text;
export const bold = (text: string) => paint(1, text);
export const dim = (text: string) => paint(2, text);
export const red = (text: string) => paint(31, text);
export const green = (text: string) => paint(32, text);
export const yellow = (text: string) => paint(33, text);

export interface Cell {
  text: string;
  /** Colour for the terminal; never the only carrier of meaning. */
  paint?: (text: string) => string;
  right?: boolean;
}

/** Prints rows under a header (terminal) or without one (pipe). A cell that is plain text is made printable. */
export function printTable(
  header: readonly string[],
  rows: ReadonlyArray<ReadonlyArray<string | Cell>>,
): void {
  const cells = rows.map((row) =>
    row.map((cell): Cell => {
      const whole = typeof cell === 'string' ? { text: cell } : cell;
      return { ...whole, text: printable(whole.text) };
    }),
  );
  if (!onTerminal) {
    for (const row of cells) print(row.map((cell) => cell.text).join('\t'));
    return;
  }
  const used = header.map((_, column) => cells.some((row) => row[column]!.text !== ''));
  const widths = header.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => Bun.stringWidth(row[column]!.text))),
  );
  const line = (row: readonly Cell[]) =>
    row
      .map((cell, column) => {
        const gap = ' '.repeat(widths[column]! - Bun.stringWidth(cell.text));
        const painted = cell.paint === undefined ? cell.text : cell.paint(cell.text);
        return cell.right === true ? gap + painted : painted + gap;
      })
      .filter((_, column) => used[column])
      .join('  ')
      .trimEnd();
  print(
    line(header.map((text, column) => ({ text, paint: dim, right: cells[0]?.[column]?.right === true }))),
  );
  for (const row of cells) print(line(row));
}

export const number = (value: number): Cell => ({
  text: onTerminal ? value.toLocaleString('en-US') : String(value),
  right: true,
});

export const iso = (time: number) => new Date(time).toISOString();

/** `3m ago` for a person, RFC 3339 for a pipe; nothing for no time. */
export function when(time: number | null, now: number): string {
  if (time === null) return '';
  if (!onTerminal) return iso(time);
  return time <= now ? `${formatDuration(now - time)} ago` : `in ${formatDuration(time - now)}`;
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];

/** Octets: `1.2 MB` (powers of 1,000) for a person, the number for a pipe. */
export const size = (octets: number) => (onTerminal ? sizeText(octets) : String(octets));

/** Octets within a sentence. */
export function sizeText(octets: number): string {
  let unit = 0;
  let value = octets;
  for (; value >= 999.5 && unit < UNITS.length - 1; unit++) value /= 1000;
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

const BARS = '▁▂▃▄▅▆▇█';

/** One character a value; an empty value is the lowest bar, the largest the highest. */
export function sparkline(values: readonly number[]): string {
  const most = Math.max(1, ...values);
  return values.map((value) => BARS[Math.ceil((value / most) * (BARS.length - 1))]).join('');
}
