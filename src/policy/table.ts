/**
 * All rules of a policy as records in one pool, with a hash index over their hosts (lookup.ts): a million rules are
 * a few objects for the garbage collector, what a decision reads of a rule lies side by side, and the whole can be
 * sent between threads without copying. A rule is known by where its record begins, so smaller comes earlier in
 * the policy.
 *
 * The key of a rule is its host as bytes: `api.example.com`, `.example.com` for a wildcard, nothing for `*`, and
 * family, prefix length and octets for a range.
 */
import { addressOf } from '../names/address.ts';
import { rangeText } from '../names/range.ts';
import type { Rule } from './decision.ts';

/** What rules have in common; the rules of a policy share a few of these. */
export interface Shape
  extends Pick<
    Rule,
    'action' | 'ports' | 'agents' | 'addresses' | 'tls' | 'upgrade' | 'bytesUpPerDay' | 'force'
  > {
  /** Where they were written, without the line. */
  origin: { kind: 'file'; file: string } | { kind: 'preset'; preset: string; version: string };
}

export interface RuleTable {
  /** Number of rules. */
  count: number;
  /** The records: `RECORD_HEAD` numbers, then the octets of key and note, filled up to whole numbers. */
  words: Uint32Array;
  /** The same memory. */
  bytes: Uint8Array;
  shapes: readonly Shape[];
  /** Ends of rules, milliseconds since the epoch; the first is infinite. */
  untils: Float64Array;
  index: RuleIndex;
}

export interface RuleIndex {
  /** Open addressing by key, `SLOT_SIZE` numbers each. */
  slots: Uint32Array;
  /** Open addressing by key and agent: hash, and the first entry's number plus one or 0. */
  agentSlots: Uint32Array;
  /** `ENTRY_SIZE` numbers each: a rule that holds for one agent. */
  entries: Uint32Array;
  /** How many labels follow the star of the wildcards that occur, a bit each; bit 31 for 31 and more. */
  wildcardLabels: number;
  /** Prefix lengths of the ranges that occur, for IPv4 and IPv6. */
  bits4: readonly number[];
  bits6: readonly number[];
}

/** Numbers at the head of a record. */
export const KEY_LENGTH = 0;
export const NOTE_LENGTH = 1;
export const LINE = 2;
export const COLUMN = 3;
export const SHAPE = 4;
export const UNTIL = 5;
/** The next rule for every agent with the same key, plus one, or 0. */
export const NEXT = 6;
export const RECORD_HEAD = 7;

/** Numbers of a slot; rules are given plus one, so that 0 is none. */
export const SLOT_HASH = 0;
/** The first rule for every agent. */
export const SLOT_EVERY = 1;
/** A rule that is for some agents only, an allow rule if there is one. */
export const SLOT_SOME = 2;
export const SLOT_SIZE = 3;

/** Numbers of an entry; the next one is given plus one. */
export const ENTRY_RULE = 0;
export const ENTRY_AGENT = 1;
export const ENTRY_NEXT = 2;
export const ENTRY_SIZE = 3;

// Made once: a decoder costs more than what it decodes here.
const decoder = new TextDecoder();

/** Every rule, in policy order. */
export function* rulesIn(table: RuleTable): Iterable<number> {
  for (let rule = 0; rule < table.words.length; ) {
    yield rule;
    rule += recordSize(table.words[rule + KEY_LENGTH]!, table.words[rule + NOTE_LENGTH]!);
  }
}

/** Numbers that a record takes. */
export function recordSize(keyLength: number, noteLength: number): number {
  return RECORD_HEAD + ((keyLength + noteLength + 3) >> 2);
}

/** Where in `bytes` the key of a rule begins. */
export function keyStart(rule: number): number {
  return (rule + RECORD_HEAD) * 4;
}

export function shapeOf(table: RuleTable, rule: number): Shape {
  return table.shapes[table.words[rule + SHAPE]!]!;
}

export function untilOf(table: RuleTable, rule: number): number {
  return table.untils[table.words[rule + UNTIL]!]!;
}

/** Whether the rule's host is `*`. */
export function isAny(table: RuleTable, rule: number): boolean {
  return table.words[rule + KEY_LENGTH] === 0;
}

/** The rule as a person would read it back. `name`: the name for which it was found, which spares reading its key. */
export function ruleAt(table: RuleTable, rule: number, name: string | null = null): Rule {
  const { action, ports, agents, addresses, tls, upgrade, bytesUpPerDay, force, origin } = shapeOf(
    table,
    rule,
  );
  const until = untilOf(table, rule);
  return {
    action,
    host: name === null ? hostAt(table, rule) : hostFor(table, rule, name),
    ports,
    agents,
    addresses,
    tls,
    upgrade,
    bytesUpPerDay,
    until: until === Number.POSITIVE_INFINITY ? null : until,
    note: noteAt(table, rule),
    force,
    source:
      origin.kind === 'preset'
        ? origin
        : {
            kind: 'file',
            file: origin.file,
            line: table.words[rule + LINE]!,
            column: table.words[rule + COLUMN]!,
          },
  };
}

function hostFor(table: RuleTable, rule: number, name: string): string {
  const length = table.words[rule + KEY_LENGTH]!;
  return length === name.length ? name : `*${name.slice(name.length - length)}`;
}

function hostAt(table: RuleTable, rule: number): string {
  const start = keyStart(rule);
  const key = table.bytes.subarray(start, start + table.words[rule + KEY_LENGTH]!);
  if (key.length === 0) return '*';
  if (key[0] === 4 || key[0] === 6) {
    const octets = new Uint8Array(key[0] === 4 ? 4 : 16);
    octets.set(key.subarray(2));
    return rangeText({ first: addressOf(octets), bits: key[1]! });
  }
  const text = decoder.decode(key);
  return text.startsWith('.') ? `*${text}` : text;
}

function noteAt(table: RuleTable, rule: number): string | null {
  const length = table.words[rule + NOTE_LENGTH]!;
  if (length === 0) return null;
  const start = keyStart(rule) + table.words[rule + KEY_LENGTH]!;
  return decoder.decode(table.bytes.subarray(start, start + length));
}
