/**
 * One policy file as a tree of YAML nodes, read with the type that each place wants. Every scalar is taken as
 * the text that stands in the file (YAML's failsafe schema), so no reader has to guess whether `no`, `1e3` or
 * `22:22` was meant as text; anchors, aliases, tags and directives, which make a file mean something else than
 * it shows, are refused.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  Scalar,
  type YAMLParseError,
} from 'yaml';
import { printable } from '../names/display.ts';
import { LARGEST_POLICY } from './largest.ts';
import { didYouMean, type Problem } from './problem.ts';

const MOST_PROBLEMS = 20;
const DEEPEST = 8;

/** Unquoted text that some YAML reader takes for a boolean, a number, a time or nothing at all. */
const AMBIGUOUS =
  /^(?:y|n|yes|no|on|off|true|false|null|~|[-+]?(?:\d[\d_]*|0x[\da-f_]+|0o[0-7_]+|0b[01_]+|[\d_]*\.?[\d_]*(?:e[-+]?\d+)?)|\d+(?::\d\d?)+(?:\.\d*)?|[-+]?\.(?:inf|nan))$/i;

/**
 * Characters that end a line for some readers and editors and for others do not (CR alone, U+0085, U+2028 and
 * U+2029: YAML 1.1 has them as line breaks, 1.2 section 5.4 has not), that turn what stands beside them around, or
 * that nobody sees. A denial behind one, in a comment, is there for whoever reviews the file and not for us.
 */
const HIDING =
  /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]|\r(?!\n)/;

/** A value of a mapping, with its key for positions. */
export interface Entry {
  key: Scalar;
  node: Node;
}

export class Reading {
  readonly problems: Problem[] = [];
  readonly #lines = new LineCounter();
  readonly #text: string;
  #concealing = false;
  readonly file: string;
  /** The top mapping; null where there is none, and then there are problems. */
  readonly root: Node | null = null;

  constructor(text: string, file: string) {
    this.#text = text;
    this.file = file;
    if (text.length > LARGEST_POLICY) this.#problemAt(0, 'the file is larger than 64 MiB');
    else if (text.startsWith('\uFEFF'))
      this.#problemAt(0, 'the file begins with a byte order mark', 'Save it as UTF-8 without one.');
    else {
      const hiding = HIDING.exec(text);
      this.root = hiding === null ? this.#parse() : this.#refuseCharacter(hiding.index);
    }
  }

  get broken(): boolean {
    return this.problems.length > 0;
  }

  /** Line and column of a node, from 1. */
  position(node: Node): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(node.range?.[0] ?? 0);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  problem(node: Node, message: string, fix: string | null = null): null {
    return this.#problemAt(node.range?.[0] ?? 0, message, fix);
  }

  /** A problem at an offset into the text of a scalar, where that stands in the file as it is; else at its start. */
  problemWithin(node: Node, at: number, message: string, fix: string | null = null): null {
    const text = isScalar(node) ? String(node.value) : '';
    const start = node.range?.[0] ?? 0;
    const quote = /["']/.test(this.#text[start] ?? '') ? 1 : 0;
    const asIs = this.#text.startsWith(text, start + quote);
    return this.#problemAt(start + (asIs ? quote + at : 0), message, fix);
  }

  /** Shows no line of the file in problems that are found meanwhile. */
  conceal<T>(read: () => T): T {
    this.#concealing = true;
    const result = read();
    this.#concealing = false;
    return result;
  }

  /** The entries of a mapping with these keys, each at most once. `later`: keys that only future versions know. */
  map(node: Node, what: string, keys: readonly string[], later: readonly string[] = []): Map<string, Entry> {
    const entries = this.openMap(node, what);
    for (const [name, { key }] of entries ?? []) {
      if (keys.includes(name)) continue;
      if (later.includes(name)) this.problem(key, `'${name}' is not supported yet`, 'Take it out.');
      else this.problem(key, `unknown key '${name}' in ${what}`, didYouMean(name, keys));
      entries!.delete(name);
    }
    return entries ?? new Map();
  }

  /** The entries of a mapping whose keys are data, in order. */
  openMap(node: Node, what: string): Map<string, Entry> | null {
    if (!isMap(node)) return this.problem(node, `${what} is a mapping of keys to values`);
    const entries = new Map<string, Entry>();
    for (const pair of node.items) {
      const key = pair.key as Node;
      if (!isScalar(key) || typeof key.value !== 'string') {
        this.problem(key ?? node, 'a key is plain text');
        continue;
      }
      if (entries.has(key.value)) this.problem(key, `'${key.value}' is given twice`, 'Merge the two.');
      else if (Object.hasOwn(Object.prototype, key.value))
        this.problem(key, `'${key.value}' cannot be a key`);
      else if (pair.value === null) this.problem(key, `'${key.value}' has no value`);
      else entries.set(key.value, { key: key as Scalar, node: pair.value as Node });
    }
    return entries;
  }

  /** The items of a list. An empty value is an error: it could mean nothing or everything. */
  list({ key, node }: Entry, example: string): readonly Node[] {
    if (isSeq(node)) return node.items as Node[];
    const empty = isScalar(node) && node.value === '';
    const fix = empty ? `Write ${key.value}: [] for an empty list, or take the key out.` : `Write ${example}`;
    this.problem(empty ? key : node, `'${key.value}' is a list`, fix);
    return [];
  }

  /** The text of a scalar in which a person wrote text. */
  text(node: Node, what: string): string | null {
    const text = this.raw(node, what);
    if (text === null || !isScalar(node) || node.type !== Scalar.PLAIN || !AMBIGUOUS.test(text)) return text;
    if (text === '') return this.problem(node, `${what} is missing`);
    return this.problem(
      node,
      `'${text}' is not text to every YAML reader`,
      `Write "${text}" if it is ${what}.`,
    );
  }

  /** The text of a scalar, whatever it looks like. */
  raw(node: Node, what: string): string | null {
    return this.#refuseEscapes(node) ? null : this.prose(node, what);
  }

  /** The same where people write sentences, in which a quote may need its backslash. */
  prose(node: Node, what: string): string | null {
    if (isScalar(node) && typeof node.value === 'string') return node.value;
    const fix = isSeq(node) ? 'Quote it if it begins with a bracket.' : null;
    return this.problem(node, `${what} is plain text, not a ${isSeq(node) ? 'list' : 'mapping'}`, fix);
  }

  /** What stands where a list should, for use in advice. */
  shortText(node: Node): string | null {
    return isScalar(node) && /^[\w.:/-]{1,40}$/.test(String(node.value)) ? String(node.value) : null;
  }

  /** A decimal number as it is usually written. */
  integer(node: Node, what: string, from: number, to: number): number | null {
    const text = this.raw(node, what);
    if (text === null) return null;
    const plain = isScalar(node) && node.type === Scalar.PLAIN;
    if (plain && /^(0|[1-9]\d{0,9})$/.test(text) && Number(text) >= from && Number(text) <= to)
      return Number(text);
    return this.problem(
      node,
      `${what} is a whole number from ${from} to ${to}`,
      plain ? null : 'Without quotes.',
    );
  }

  boolean(node: Node, what: string): boolean | null {
    const text = this.raw(node, what);
    if (isScalar(node) && node.type === Scalar.PLAIN && (text === 'true' || text === 'false'))
      return text === 'true';
    return text === null ? null : this.problem(node, `${what} is true or false`);
  }

  choice<Word extends string>(node: Node, what: string, words: readonly Word[]): Word | null {
    const text = this.raw(node, what);
    if (text === null || words.includes(text as Word)) return text as Word | null;
    return this.problem(node, `unknown ${what} '${text}'`, didYouMean(text, words));
  }

  #parse(): Node | null {
    try {
      // Unique keys are checked here, in linear time; the library compares every key with every other.
      const document = parseDocument(this.#text, {
        schema: 'failsafe',
        uniqueKeys: false,
        prettyErrors: false,
        lineCounter: this.#lines,
      });
      // One error breaks what follows it, so the first says all.
      const [error] = document.errors;
      if (error !== undefined) return this.#problemAt(error.pos[0], ...syntaxMessage(error));
      const root = document.contents;
      const directive = this.#directiveOutside(root);
      if (directive !== null)
        return this.#problemAt(
          directive,
          'YAML directives are refused',
          'Take the lines out that begin with %.',
        );
      if (root === null || (isScalar(root) && root.value === ''))
        return this.#problemAt(0, 'the file is empty', 'A policy that allows nothing is written: version: 1');
      this.#refuseTricks(root, 0);
      if (!this.broken && !isMap(root))
        this.problem(root, 'a policy is a mapping such as allow: [example.com]');
      return this.broken ? null : root;
    } catch (error) {
      // The library recurses; only a hostile file nests that deep.
      return this.#problemAt(
        0,
        error instanceof RangeError ? 'the file is nested too deeply' : String(error),
      );
    }
  }

  /** `"\x65vil.test"` shows another name than it stands for, and a search for the name does not find it. */
  #refuseEscapes(node: Node): boolean {
    if (!isScalar(node) || node.type !== Scalar.QUOTE_DOUBLE) return false;
    const [start, end] = node.range!;
    const backslash = this.#text.slice(start, end).indexOf('\\');
    if (backslash < 0) return false;
    const value = String(node.value);
    const sayable = !this.#concealing && value.length <= 253 && printable(value) === value;
    const instead = sayable ? `Write '${value.replaceAll("'", "''")}'.` : 'Write it in single quotes.';
    this.#problemAt(start + backslash, 'a backslash hides what is meant', instead);
    return true;
  }

  #refuseCharacter(at: number): null {
    const code = this.#text.charCodeAt(at);
    if (code === 0) return this.#problemAt(at, 'the file contains a NUL character', 'Save it as UTF-8 text.');
    const name = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
    return code === 0x0d
      ? this.#problemAt(at, `${name} ends a line for some readers only`, 'End lines with LF or with CR LF.')
      : this.#problemAt(at, `the file contains ${name}, which not every reader shows alike`, 'Take it out.');
  }

  /** A line that begins with % is one wherever it is not part of the content, whether the library knows it or not. */
  #directiveOutside(root: Node | null): number | null {
    const [start, , end] = root?.range ?? [this.#text.length, 0, this.#text.length];
    const before = this.#text.slice(0, start).search(/^%/m);
    const behind = this.#text.slice(end).search(/^%/m);
    if (before >= 0) return before;
    return behind < 0 ? null : end + behind;
  }

  #refuseTricks(node: unknown, depth: number): void {
    if (this.problems.length >= MOST_PROBLEMS) return;
    if (isAlias(node)) {
      const isWildcard = node.source.startsWith('.');
      const fix = isWildcard ? `Write "*${node.source}" in quotes.` : 'Write the value out.';
      this.problem(
        node,
        isWildcard ? 'an unquoted * begins an alias' : 'anchors and aliases are refused',
        fix,
      );
      return;
    }
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) return;
    if (node.anchor) this.problem(node, 'anchors and aliases are refused', 'Write the value out.');
    if (node.tag) this.problem(node, 'tags are refused', 'Take out the word that begins with !');
    if (depth > DEEPEST) this.problem(node, 'the file is nested too deeply');
    else if (isSeq(node)) for (const item of node.items) this.#refuseTricks(item, depth + 1);
    else if (isMap(node))
      for (const pair of node.items) {
        this.#refuseTricks(pair.key, depth + 1);
        this.#refuseEscapes(pair.key as Node);
        this.#refuseTricks(pair.value, depth + 1);
      }
  }

  #problemAt(offset: number, message: string, fix: string | null = null): null {
    if (this.problems.length >= MOST_PROBLEMS) return null;
    const start = offset === 0 ? 0 : this.#text.lastIndexOf('\n', offset - 1) + 1;
    const end = this.#text.indexOf('\n', offset);
    const excerpt = this.#concealing
      ? ''
      : this.#text
          .slice(start, end < 0 ? undefined : end)
          .replace(/\r$/, '')
          .slice(0, 10_000);
    let line = 1;
    for (let at = this.#text.indexOf('\n'); at >= 0 && at < start; at = this.#text.indexOf('\n', at + 1))
      line++;
    this.problems.push({ file: this.file, line, column: offset - start + 1, message, fix, excerpt });
    return null;
  }
}

/** What people get wrong most often, in words of their own file. */
function syntaxMessage({ code, message }: YAMLParseError): [message: string, fix: string | null] {
  if (code === 'BAD_ALIAS') return ['an unquoted * begins an alias', 'Write "*" in quotes.'];
  if (code === 'MULTIPLE_DOCS') return ['the file holds more than one document', 'Take the line --- out.'];
  if (code === 'TAB_AS_INDENT') return ['a tab indents the line', 'Indent with spaces.'];
  if (code === 'MULTILINE_IMPLICIT_KEY')
    return [
      `not valid YAML: ${message}`,
      "Indent the lines above it: what belongs to a '- name: …' begins two columns behind its dash.",
    ];
  if (/reserved character/.test(message)) return [`not valid YAML: ${message}`, 'Quote the value.'];
  return [`not valid YAML: ${message}`, null];
}
