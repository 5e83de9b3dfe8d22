/**
 * The hash index of a rule table: finding a rule costs the same with ten rules and with a million. A name is looked
 * up under itself and under those of its endings that some wildcard could have, an address under each prefix
 * length that occurs. Rules for some agents only stand in an index of their own, which is looked at only where the
 * first says that such rules exist, so that a thousand agents with the same host cost one what one costs.
 */
import {
  ENTRY_AGENT,
  ENTRY_NEXT,
  ENTRY_RULE,
  ENTRY_SIZE,
  KEY_LENGTH,
  keyStart,
  NEXT,
  type RuleTable,
  SLOT_EVERY,
  SLOT_HASH,
  SLOT_SIZE,
  SLOT_SOME,
} from './table.ts';

/** What concerns one host. */
export interface Found {
  /** Rules for every agent. */
  every: number[];
  /** Rules for the agent in question. */
  own: number[];
  /** For each key that has them, one rule that is for some agents only, perhaps not this one. */
  some: number[];
}

const DOT = 0x2e;
const LONGEST_NAME = 253;

// The key that is being looked up. One lookup runs at a time, so one of these is enough.
const KEY = new Uint8Array(LONGEST_NAME);

/** FNV-1a, fed from the last byte to the first so that every ending of a name is hashed on the way. */
const HASH_START = 0x811c9dc5;
const hashStep = (hash: number, byte: number) => Math.imul(hash ^ byte, 0x01000193);

/**
 * What stands in the slots: FNV's low bits alone are weak for table indexes, and agents have to spread as well.
 * `agent`: 0 for none.
 */
export function hashEnd(hash: number, agent: number): number {
  let mixed = hash ^ Math.imul(agent, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Hash of `key[start..end]` before the agent. */
export function hashKey(key: Uint8Array, start: number, end: number): number {
  let hash = HASH_START;
  for (let i = end - 1; i >= start; i--) hash = hashStep(hash, key[i]!);
  return hash;
}

/** The bit of `wildcardLabels` for this number of labels. */
export function labelsBit(labels: number): number {
  return 1 << Math.min(31, labels);
}

/** Adds every rule for the name to `found`; false if it is no canonical name. `agent`: its number, 0 for none. */
export function findName(table: RuleTable, name: string, agent: number, found: Found): boolean {
  const { wildcardLabels } = table.index;
  const length = name.length;
  if (length === 0 || length > LONGEST_NAME) return false;
  let hash = HASH_START;
  if ((wildcardLabels & 1) !== 0) findKey(table, hash, length, length, agent, found);
  let labels = 0;
  let after = DOT;
  for (let i = length - 1; i >= 0; i--) {
    const code = name.charCodeAt(i);
    if (code === DOT ? after === DOT || i === 0 : !isNameCharacter(code)) return false;
    KEY[i] = code;
    hash = hashStep(hash, code);
    if (code === DOT && (wildcardLabels & labelsBit(++labels)) !== 0)
      findKey(table, hash, i, length, agent, found);
    after = code;
  }
  findKey(table, hash, 0, length, agent, found);
  return true;
}

/** Adds every rule whose range holds the address to `found`. `octets`: 4 or 16. */
export function findAddress(table: RuleTable, octets: Uint8Array, agent: number, found: Found): void {
  for (const bits of octets.length === 4 ? table.index.bits4 : table.index.bits6) {
    const end = writeRangeKey(KEY, 0, octets, bits);
    findKey(table, hashKey(KEY, 0, end), 0, end, agent, found);
  }
}

/** Adds every `*` rule to `found`; an address they concern only where they deny. */
export function findAny(table: RuleTable, agent: number, found: Found): void {
  findKey(table, HASH_START, 0, 0, agent, found);
}

/** Family, prefix length and as many octets as the prefix reaches into; returns where the key ends. */
export function writeRangeKey(key: Uint8Array, at: number, octets: Uint8Array, bits: number): number {
  key[at] = octets.length === 4 ? 4 : 6;
  key[at + 1] = bits;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) key[at + 2 + i] = octets[i]!;
  if ((bits & 7) === 0) return at + 2 + whole;
  key[at + 2 + whole] = octets[whole]! & (0xff00 >> (bits & 7));
  return at + 3 + whole;
}

function findKey(
  table: RuleTable,
  hash: number,
  start: number,
  end: number,
  agent: number,
  found: Found,
): void {
  const { slots, agentSlots, entries } = table.index;
  const slot = slotOf(table, hash, KEY, start, end);
  for (let next = slots[slot + SLOT_EVERY]!; next !== 0; next = table.words[next - 1 + NEXT]!)
    found.every.push(next - 1);
  const some = slots[slot + SLOT_SOME]!;
  if (some === 0) return;
  found.some.push(some - 1);
  if (agent === 0) return;
  let next = agentSlots[agentSlotOf(table, hash, agent, KEY, start, end) + 1]!;
  while (next !== 0) {
    const entry = (next - 1) * ENTRY_SIZE;
    found.own.push(entries[entry + ENTRY_RULE]!);
    next = entries[entry + ENTRY_NEXT]!;
  }
}

/** Where in `slots` the key stands, or the free slot where it would. `hash`: as from `hashKey`. */
export function slotOf(table: RuleTable, hash: number, key: Uint8Array, start: number, end: number): number {
  const { slots } = table.index;
  const ended = hashEnd(hash, 0);
  const mask = slots.length / SLOT_SIZE - 1;
  for (let number = ended & mask; ; number = (number + 1) & mask) {
    const slot = number * SLOT_SIZE;
    const rule = slots[slot + SLOT_EVERY]! || slots[slot + SLOT_SOME]!;
    if (rule === 0) return slot;
    if (slots[slot + SLOT_HASH] === ended && sameKey(table, rule - 1, key, start, end)) return slot;
  }
}

/** The same in `agentSlots`. */
export function agentSlotOf(
  table: RuleTable,
  hash: number,
  agent: number,
  key: Uint8Array,
  start: number,
  end: number,
): number {
  const { agentSlots, entries } = table.index;
  const ended = hashEnd(hash, agent);
  const mask = agentSlots.length - 1;
  for (let slot = (ended * 2) & mask; ; slot = (slot + 2) & mask) {
    if (agentSlots[slot + 1] === 0) return slot;
    const entry = (agentSlots[slot + 1]! - 1) * ENTRY_SIZE;
    if (agentSlots[slot] !== ended || entries[entry + ENTRY_AGENT] !== agent) continue;
    if (sameKey(table, entries[entry + ENTRY_RULE]!, key, start, end)) return slot;
  }
}

function sameKey(table: RuleTable, rule: number, key: Uint8Array, start: number, end: number): boolean {
  if (table.words[rule + KEY_LENGTH] !== end - start) return false;
  const { bytes } = table;
  const other = keyStart(rule) - start;
  for (let i = start; i < end; i++) if (bytes[other + i] !== key[i]) return false;
  return true;
}

/** Lower-case letters, digits, hyphen and underscore. */
function isNameCharacter(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x5f;
}
