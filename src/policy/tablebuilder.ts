/** Fills a `RuleTable`. The rules are walked twice, to measure and to fill, so that nothing is larger than needed. */
import { parseRange } from '../names/range.ts';
import type { Rule } from './decision.ts';
import { agentSlotOf, hashEnd, hashKey, labelsBit, slotOf, writeRangeKey } from './lookup.ts';
import {
  COLUMN,
  ENTRY_AGENT,
  ENTRY_NEXT,
  ENTRY_RULE,
  ENTRY_SIZE,
  KEY_LENGTH,
  keyStart,
  LINE,
  NEXT,
  NOTE_LENGTH,
  type RuleTable,
  recordSize,
  SHAPE,
  type Shape,
  SLOT_EVERY,
  SLOT_HASH,
  SLOT_SIZE,
  SLOT_SOME,
  shapeOf,
  UNTIL,
} from './table.ts';

/** A rule and the numbers (from 1) of the agents for which it counts; null: for every agent. */
export interface Placed {
  rule: Rule;
  agents: readonly number[] | null;
}

const LONGEST_KEY = 256;
const DOT = 0x2e;
const encoder = new TextEncoder();

export function buildTable(rules: () => Iterable<Placed>): RuleTable {
  const size = measure(rules());
  const words = new Uint32Array(size.words);
  const table: RuleTable = {
    count: size.rules,
    words,
    bytes: new Uint8Array(words.buffer),
    shapes: [],
    untils: new Float64Array(),
    index: {
      slots: new Uint32Array(twice(size.rules) * SLOT_SIZE),
      agentSlots: new Uint32Array(twice(size.entries) * 2),
      entries: new Uint32Array(size.entries * ENTRY_SIZE),
      wildcardLabels: 0,
      bits4: [],
      bits6: [],
    },
  };
  const places = fillRecords(table, rules());
  fillIndex(table, places);
  return table;
}

interface Place {
  rule: number;
  agents: readonly number[] | null;
}

function measure(rules: Iterable<Placed>) {
  const size = { rules: 0, words: 0, entries: 0 };
  const scratch = new Uint8Array(LONGEST_KEY);
  for (const { rule, agents } of rules) {
    size.rules++;
    const noteLength = rule.note === null ? 0 : encoder.encode(rule.note).length;
    size.words += recordSize(writeKey(scratch, 0, rule.host), noteLength);
    size.entries += agents?.length ?? 0;
  }
  return size;
}

/** At least twice as many, a power of two: half of the slots stay free, so that a probe rarely meets a stranger. */
function twice(count: number): number {
  let slots = 16;
  while (slots < count * 2) slots *= 2;
  return slots;
}

function fillRecords(table: RuleTable, rules: Iterable<Placed>): Place[] {
  const { words, bytes } = table;
  const places: Place[] = [];
  const shapes = new Shapes();
  const untils = new Untils();
  let at = 0;
  for (const { rule, agents } of rules) {
    const start = keyStart(at);
    const keyEnd = writeKey(bytes, start, rule.host);
    const note = rule.note === null ? null : encoder.encode(rule.note);
    if (note !== null) bytes.set(note, keyEnd);
    words[at + KEY_LENGTH] = keyEnd - start;
    words[at + NOTE_LENGTH] = note?.length ?? 0;
    words[at + LINE] = rule.source.kind === 'file' ? rule.source.line : 0;
    words[at + COLUMN] = rule.source.kind === 'file' ? rule.source.column : 0;
    words[at + SHAPE] = shapes.number(rule);
    words[at + UNTIL] = untils.number(rule.until);
    places.push({ rule: at, agents });
    at += recordSize(keyEnd - start, note?.length ?? 0);
  }
  table.shapes = shapes.values;
  table.untils = Float64Array.from(untils.values);
  return places;
}

/** Last rule first, each before its chain, so that a chain reads in policy order. */
function fillIndex(table: RuleTable, places: readonly Place[]): void {
  const { words, bytes, index } = table;
  const bits = { 4: new Set<number>(), 6: new Set<number>() };
  let entries = 0;
  for (const { rule, agents } of places.toReversed()) {
    const start = keyStart(rule);
    const end = start + words[rule + KEY_LENGTH]!;
    const first = end > start ? bytes[start]! : 0;
    if (first === 4 || first === 6) bits[first].add(bytes[start + 1]!);
    else index.wildcardLabels |= wildcardBit(bytes, start, end);

    const hash = hashKey(bytes, start, end);
    const slot = slotOf(table, hash, bytes, start, end);
    index.slots[slot + SLOT_HASH] = hashEnd(hash, 0);
    if (agents === null) {
      words[rule + NEXT] = index.slots[slot + SLOT_EVERY]!;
      index.slots[slot + SLOT_EVERY] = rule + 1;
      continue;
    }
    const some = index.slots[slot + SLOT_SOME]!;
    if (some === 0 || shapeOf(table, rule).action === 'allow') index.slots[slot + SLOT_SOME] = rule + 1;
    for (const agent of agents) {
      const slot = agentSlotOf(table, hash, agent, bytes, start, end);
      const entry = entries * ENTRY_SIZE;
      index.entries[entry + ENTRY_RULE] = rule;
      index.entries[entry + ENTRY_AGENT] = agent;
      index.entries[entry + ENTRY_NEXT] = index.agentSlots[slot + 1]!;
      index.agentSlots[slot] = hashEnd(hash, agent);
      index.agentSlots[slot + 1] = ++entries;
    }
  }
  index.bits4 = [...bits[4]].sort((a, b) => a - b);
  index.bits6 = [...bits[6]].sort((a, b) => a - b);
}

/** `host`: canonical, as `readPattern` gives it. Returns where the key ends. */
function writeKey(keys: Uint8Array, at: number, host: string): number {
  const last = host.charCodeAt(host.length - 1);
  const mayBeRange = (last >= 0x30 && last <= 0x39) || host.includes(':');
  const range = mayBeRange ? parseRange(host) : null;
  if (range !== null) return writeRangeKey(keys, at, range.first.bytes, range.bits);
  const skip = host.startsWith('*') ? 1 : 0;
  for (let i = skip; i < host.length; i++) keys[at + i - skip] = host.charCodeAt(i);
  return at + host.length - skip;
}

/** The bit of a wildcard's key, which is empty or begins with a dot; 0 for a name. */
function wildcardBit(keys: Uint8Array, start: number, end: number): number {
  if (start < end && keys[start] !== DOT) return 0;
  let labels = 0;
  for (let i = start; i < end; i++) if (keys[i] === DOT) labels++;
  return labelsBit(labels);
}

/** What many rules share, each kept once. */
class Shapes {
  readonly values: Shape[] = [];
  readonly #numbers = new Map<string, number>();

  number({ source, ...rule }: Rule): number {
    const { action, ports, agents, addresses, tls, upgrade, bytesUpPerDay, force } = rule;
    const origin = source.kind === 'file' ? source.file : `${source.preset} ${source.version}`;
    // Only the origin, at the end, could hold the separator.
    const key = `${action}|${ports}|${agents}|${addresses}|${tls}|${upgrade}|${bytesUpPerDay}|${force}|${source.kind}|${origin}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      const kept = source.kind === 'file' ? { kind: source.kind, file: source.file } : source;
      const shape = { action, ports, agents, addresses, tls, upgrade, bytesUpPerDay, force };
      number = this.values.push({ ...shape, origin: kept }) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

class Untils {
  readonly values: number[] = [Number.POSITIVE_INFINITY];
  readonly #numbers = new Map<number | null, number>([[null, 0]]);

  number(until: number | null): number {
    let number = this.#numbers.get(until);
    if (number === undefined) {
      number = this.values.push(until!) - 1;
      this.#numbers.set(until, number);
    }
    return number;
  }
}
