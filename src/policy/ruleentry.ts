/** One rule as it stands in a file: a host alone, or a mapping with options. */
import { isMap, type Node } from 'yaml';
import { mappedRange, parseRange, type Range, rangeText } from '../names/range.ts';
import { isAgentName } from './agentname.ts';
import { tooBroad } from './breadth.ts';
import type { Rule } from './decision.ts';
import { readRuleLimits } from './limitentry.ts';
import { MAPPED_ADDRESS, readPattern } from './pattern.ts';
import type { Entry, Reading } from './reading.ts';
import { parseTimestamp } from './timestamp.ts';

/** Ports of an allow rule that lists none. */
export const WEB_PORTS: readonly number[] = Object.freeze([80, 443]);
const NONE: readonly never[] = Object.freeze([]);
const LONGEST_NOTE = 500;

const ALLOW_KEYS = [
  'host',
  'ports',
  'addresses',
  'agents',
  'tls',
  'upgrade',
  'limits',
  'until',
  'note',
  'force',
];
const DENY_KEYS = ['host', 'ports', 'agents', 'until', 'note'];
const LATER_KEYS = ['methods', 'paths'];
/** Protocols whose every message would name a host of its own, which nobody could look at. */
const UNREADABLE_UPGRADES = /^(h2c?|http\/.*|tls\/.*|connect-.*|masque)$/;

/** Rules of a list under `allow` or `deny`. `agent`: whose section the list stands in, or null. */
export function readRules(
  reading: Reading,
  entry: Entry,
  action: Rule['action'],
  agent: string | null,
): Rule[] {
  const rules: Rule[] = [];
  const agents = agent === null ? NONE : Object.freeze([agent]);
  for (const node of reading.list(entry, `${action}: [example.com]`)) {
    const rule = isMap(node)
      ? readMapping(reading, node, action, agents)
      : readHost(reading, node, action, agents, false);
    if (rule !== null) rules.push(rule);
  }
  return rules;
}

function readHost(
  reading: Reading,
  node: Node,
  action: Rule['action'],
  agents: readonly string[],
  force: boolean,
): Rule | null {
  const text = reading.text(node, 'a host');
  if (text === null) return null;
  const result = readPattern(text);
  if (!result.ok) return reading.problem(node, `'${text}' is not a host: ${result.message}`, result.fix);
  const broad = action === 'allow' && !force ? tooBroad(result.pattern) : null;
  if (broad !== null) return reading.problem(node, broad.message, broad.fix);
  return {
    action,
    host: result.pattern.text,
    ports: action === 'allow' ? WEB_PORTS : NONE,
    agents,
    addresses: NONE,
    tls: 'sni',
    upgrade: NONE,
    bytesUpPerDay: null,
    until: null,
    note: null,
    force,
    source: { kind: 'file', file: reading.file, ...reading.position(node) },
  };
}

function readMapping(
  reading: Reading,
  node: Node,
  action: Rule['action'],
  agents: readonly string[],
): Rule | null {
  const known = action === 'allow' ? ALLOW_KEYS : DENY_KEYS;
  const inSection = agents.length > 0;
  const keys = inSection ? known.filter((key) => key !== 'agents') : known;
  const entries = reading.map(node, `a rule under ${action}`, keys, LATER_KEYS);
  const value = <T>(key: string, read: (entry: Entry) => T | null, otherwise: T): T => {
    const entry = entries.get(key);
    return (entry === undefined ? null : read(entry)) ?? otherwise;
  };
  const force = value('force', ({ node }) => reading.boolean(node, 'force'), false);
  const host = entries.get('host');
  if (host === undefined) return reading.problem(node, 'a rule without a host', 'Add host: example.com');
  const bare = readHost(reading, host.node, action, agents, force);
  if (bare === null) return null;
  const rule: Rule = {
    ...bare,
    ports: value('ports', (entry) => readPorts(reading, entry), bare.ports),
    agents: value('agents', (entry) => readAgents(reading, entry), agents),
    addresses: value('addresses', (entry) => readAddresses(reading, entry), NONE),
    tls: value('tls', ({ node }) => reading.choice(node, 'tls', ['sni', 'ech', 'any']), 'sni'),
    upgrade: value('upgrade', (entry) => readUpgrades(reading, entry), NONE),
    bytesUpPerDay: value('limits', (entry) => readRuleLimits(reading, entry), null),
    until: value('until', ({ node }) => readUntil(reading, node), null),
    note: value('note', ({ node }) => readNote(reading, node), null),
    source: { kind: 'file', file: reading.file, ...reading.position(node) },
  };
  return rule;
}

/** An option that may be left out, but not left empty: nothing would look like everything. */
function filled<T>(
  reading: Reading,
  { key, node }: Entry,
  items: readonly (T | null)[],
): readonly T[] | null {
  if (items.includes(null)) return null;
  if (items.length > 0) return Object.freeze([...new Set(items as T[])]);
  return reading.broken
    ? null
    : reading.problem(node, `'${key.value}' is empty`, `Take ${key.value} out, or fill it.`);
}

function readPorts(reading: Reading, entry: Entry): readonly number[] | null {
  const nodes = reading.list(entry, `ports: [${reading.shortText(entry.node) ?? 443}]`);
  const ports = nodes.map((node) => reading.integer(node, 'a port', 1, 65_535));
  return filled(reading, entry, ports);
}

function readAgents(reading: Reading, entry: Entry): readonly string[] | null {
  const nodes = reading.list(entry, `agents: [${reading.shortText(entry.node) ?? 'my-agent'}]`);
  return filled(
    reading,
    entry,
    nodes.map((node) => readAgentName(reading, node)),
  );
}

export function readAgentName(reading: Reading, node: Node): string | null {
  const text = reading.text(node, 'an agent');
  if (text === null || isAgentName(text)) return text;
  return reading.problem(
    node,
    `'${text}' is not the name of an agent`,
    'It has 1 to 64 letters, digits and . _ + @ - and begins with a letter or digit.',
  );
}

function readAddresses(reading: Reading, entry: Entry): readonly string[] | null {
  return readRanges(reading, entry, '10.0.0.0/8')?.map(rangeText) ?? null;
}

/** A list of addresses and ranges, each once. Null where there are problems. */
export function readRanges(reading: Reading, entry: Entry, example: string): readonly Range[] | null {
  const nodes = reading.list(entry, `${entry.key.value}: [${reading.shortText(entry.node) ?? example}]`);
  const ranges = nodes.map((node) => {
    const text = reading.text(node, 'an address or range');
    if (text === null) return null;
    const range = parseRange(text);
    const meant = range === null ? null : mappedRange(range);
    if (meant !== null)
      return reading.problem(node, `'${text}' is ${MAPPED_ADDRESS}`, `Write ${rangeText(meant)}.`);
    if (range !== null) return rangeText(range);
    const result = readPattern(text);
    const fix = result.ok ? 'Names are resolved; write the range that they may lead to.' : result.fix;
    return reading.problem(node, `'${text}' is not an address or range`, fix ?? `Such as ${example}.`);
  });
  return filled(reading, entry, ranges)?.map((text) => parseRange(text)!) ?? null;
}

/** Tokens of the Upgrade field (RFC 9110 section 7.8), in lower case. */
function readUpgrades(reading: Reading, entry: Entry): readonly string[] | null {
  const nodes = reading.list(entry, `upgrade: [${reading.shortText(entry.node) ?? 'websocket'}]`);
  const protocols = nodes.map((node) => {
    const text = reading.text(node, 'a protocol')?.toLowerCase() ?? null;
    if (text === null) return null;
    if (!/^[a-z0-9._+-]+(\/[a-z0-9._+-]+)?$/.test(text))
      return reading.problem(node, `'${text}' is not a protocol`, 'Such as websocket.');
    if (UNREADABLE_UPGRADES.test(text))
      return reading.problem(
        node,
        `'${text}' could carry requests for any host`,
        'Only websocket and its like can be let through.',
      );
    return text;
  });
  return filled(reading, entry, protocols);
}

function readUntil(reading: Reading, node: Node): number | null {
  const text = reading.raw(node, 'until');
  const time = text === null ? null : parseTimestamp(text);
  if (text === null || time !== null) return time;
  return reading.problem(
    node,
    `'${text}' is not a time`,
    'Write date, time and zone as in 2026-12-01T00:00:00Z.',
  );
}

function readNote(reading: Reading, node: Node): string | null {
  const text = reading.prose(node, 'a note');
  if (text === null) return null;
  if (text.length > LONGEST_NOTE)
    return reading.problem(node, `a note has at most ${LONGEST_NOTE} characters`);
  if (/[\0-\x1f\x7f-\x9f]/.test(text)) return reading.problem(node, 'a note is one line of text');
  return text;
}
