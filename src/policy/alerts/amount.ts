/** Numbers, sizes, baselines and durations of a condition, each of one or more words. */
import { parseDuration } from '../../base/duration.ts';
import { parseSize, SIZE_UNITS } from '../../base/size.ts';
import { didYouMean } from '../problem.ts';
import type { Metric, Operator, Value } from './condition.ts';

/** `words`: how many of them were read. `message` is null where there was nothing to read. */
type Read<T> =
  | { ok: true; value: T; words: number }
  | { ok: false; message: string | null; fix: string | null };

const no = (message: string | null, fix: string | null = null) => ({ ok: false, message, fix }) as const;

export const SHORTEST_WINDOW = 1_000;
export const LONGEST_WINDOW = 7 * 86_400_000;
const LARGEST = 1e15;

export function isOctets(metric: Metric): boolean {
  return metric === 'bytes_up' || metric === 'bytes_down';
}

/** `100`, `50 MB`, `50MB`, `3x baseline`. */
export function readNumber(metric: Metric, words: readonly string[]): Read<Value> {
  const [first, second] = words;
  if (first === undefined) return no(null);
  const [, times] = /^(\d{1,6}(?:\.\d{1,3})?)x$/.exec(first) ?? [];
  if (times !== undefined || first === 'baseline') return readBaseline(times, second);
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(first) ?? [];
  if (digits === undefined) return no(`'${first}' is not a number`, numberFix(first));
  const apart = unit === '' && second !== undefined && (isOctets(metric) ? second !== 'in' : isUnit(second));
  const size = unit !== '' ? unit : apart ? second : null;
  if (size === null) {
    if (!/^(0|[1-9]\d*)$/.test(digits))
      return no(`'${digits}' is not a whole number`, isOctets(metric) ? 'Such as 100, or 50 MB.' : null);
    if (Number(digits) > LARGEST) return no(`${digits} is too large`);
    return { ok: true, value: { kind: 'number', number: Number(digits) }, words: 1 };
  }
  if (size === 'baseline') return no("a baseline is multiplied: '3x baseline'", `Write ${digits}x baseline`);
  const shown = apart ? `${digits} ${size}` : first;
  if (!isOctets(metric)) {
    const fix = SIZE_UNITS.includes(size)
      ? 'Sizes belong to bytes_up and bytes_down.'
      : `Write ${digits} in …`;
    return no(`${metric} is a count, and '${shown}' is not a whole number`, fix);
  }
  const octets = parseSize(`${digits} ${size}`);
  if (octets !== null) return { ok: true, value: { kind: 'number', number: octets }, words: apart ? 2 : 1 };
  if (SIZE_UNITS.includes(size)) return no(`'${shown}' is not a whole number of bytes, or too large`);
  const other = SIZE_UNITS.find((unit) => unit.toLowerCase() === size.toLowerCase());
  return no(
    `unknown unit '${size}'`,
    other === undefined ? didYouMean(size, SIZE_UNITS) : `Did you mean '${other}'?`,
  );
}

const isUnit = (word: string) =>
  word === 'baseline' || SIZE_UNITS.some((unit) => unit.toLowerCase() === word.toLowerCase());

function readBaseline(times: string | undefined, second: string | undefined): Read<Value> {
  const factor = Number(times);
  if (times === undefined) return no('a baseline is multiplied', 'Write 3x baseline');
  if (second !== 'baseline') return no(`'${times}x' multiplies nothing`, `Write ${times}x baseline`);
  if (factor < 0.1 || factor > 1_000) return no('a baseline is multiplied by 0.1 to 1000');
  return { ok: true, value: { kind: 'baseline', factor }, words: 2 };
}

function numberFix(text: string): string | null {
  if (/^-/.test(text)) return 'Nothing is counted below 0.';
  if (/^\d[\d_]*$/.test(text)) return `Write ${text.replaceAll('_', '')}`;
  if (/%$/.test(text)) return "Compare with what is usual: '3x baseline'.";
  return 'Such as 100, 50 MB or 3x baseline.';
}

/** What makes the comparison meaningless, if anything does. */
export function valueProblem(
  metric: Metric,
  op: Operator,
  value: Value,
): { message: string; fix: string | null } | null {
  if (value.kind === 'baseline')
    return op === '==' || op === '!='
      ? { message: `'${op}' does not compare with a baseline`, fix: 'Write > or <' }
      : null;
  if (value.number > 0) return null;
  if (op === '>=') return { message: `this always holds: ${metric} is never below 0`, fix: 'Write > 0' };
  if (op === '<') return { message: `this never holds: ${metric} is never below 0`, fix: 'Write == 0' };
  return null;
}

/** `5 minutes`, `90s`, `1h30m`, `1 hour 30 minutes`; as many words as belong to it. */
export function readDuration(words: readonly string[]): Read<number> {
  const [first] = words;
  if (first === undefined) return no(null);
  let taken = 0;
  while (taken < words.length && /^\d/.test(words[taken]!)) {
    const hasUnit = /[a-z]$/.test(words[taken]!) || AFTER.has(words[taken + 1] ?? '');
    taken += hasUnit ? 1 : 2;
  }
  const text = words.slice(0, taken).join(' ');
  const duration = taken === 0 || taken > words.length ? null : parseDuration(text);
  if (duration === null) return no(...durationProblem(words.slice(0, Math.max(1, taken))));
  if (duration % 1_000 !== 0) return no(`'${text}' is not a whole number of seconds`);
  if (duration < SHORTEST_WINDOW || duration > LONGEST_WINDOW)
    return no(`'${text}' is not between 1 second and 7 days`);
  return { ok: true, value: duration, words: taken };
}

/** Words that follow a duration and are no units. */
const AFTER: ReadonlySet<string> = new Set(['per', 'where', 'and', 'or']);
const UNITS = ['seconds', 'minutes', 'hours', 'days'];

function durationProblem(words: readonly string[]): [message: string, fix: string] {
  const text = words.join(' ');
  const [, number, unit] = /^(\d+) ?([A-Za-z]*)$/.exec(text) ?? [];
  const message = `'${text}' is not a duration`;
  if (unit === '') return [message, `Write ${number} minutes`];
  if (unit !== undefined) return [message, didYouMean(unit, UNITS)];
  return [message, 'Such as 90 seconds, 5 minutes, 1h30m or 7 days.'];
}
