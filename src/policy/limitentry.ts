/** Limits as they stand in a file: durations, numbers, sizes, and sizes a day. */
import type { Node } from 'yaml';
import { parseDuration } from '../base/duration.ts';
import { parseSize } from '../base/size.ts';
import type { AgentLimits, Limits } from './limits.ts';
import type { Entry, Reading } from './reading.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 86_400 * SECOND;

type Reader = (reading: Reading, node: Node, key: string) => number | null;

const count =
  (from: number, to: number): Reader =>
  (reading, node, key) =>
    reading.integer(node, key, from, to);

const duration =
  (to: number, toText: string): Reader =>
  (reading, node, key) => {
    const length = parseDuration(reading.raw(node, key) ?? '');
    if (length !== null && length >= SECOND && length <= to) return length;
    return reading.problem(node, `${key} is a duration from 1s to ${toText}`, 'Write it as 90s, 15m or 2h.');
  };

/** `50 MB/day`: an amount without its time would be read as one for each connection by some. */
const perDay: Reader = (reading, node, key) => {
  const text = reading.raw(node, key);
  if (text === null) return null;
  const amount = /^(.*\S) ?\/ ?day$/.exec(text)?.[1];
  const octets = amount === undefined ? null : parseSize(amount);
  if (octets !== null && octets > 0) return octets;
  const meant = octets === null ? parseSize(text) : null;
  const fix = meant !== null && meant > 0 ? `Write ${text}/day.` : 'Write it as 50 MB/day or 2 GiB/day.';
  return reading.problem(node, `${key} is a size a day`, fix);
};

const READERS: Readonly<Record<string, [limit: keyof Limits, read: Reader]>> = {
  connections: ['connections', count(1, 1_000_000)],
  connections_per_agent: ['connectionsPerAgent', count(1, 1_000_000)],
  connections_per_second: ['connectionsPerSecond', count(1, 1_000_000)],
  connections_per_second_per_agent: ['connectionsPerSecondPerAgent', count(1, 1_000_000)],
  header_bytes: ['headerBytes', count(1_024, 1_048_576)],
  header_count: ['headerCount', count(16, 10_000)],
  head_timeout: ['headTimeout', duration(10 * MINUTE, '10m')],
  handshake_timeout: ['handshakeTimeout', duration(10 * MINUTE, '10m')],
  first_byte_timeout: ['firstByteTimeout', duration(60 * MINUTE, '1h')],
  response_timeout: ['responseTimeout', duration(60 * MINUTE, '1h')],
  idle: ['idle', duration(7 * DAY, '7d')],
  lifetime: ['lifetime', duration(365 * DAY, '365d')],
  bytes_up: ['bytesUpPerDay', perDay],
  bytes_up_per_agent: ['bytesUpPerDayPerAgent', perDay],
};

const AGENT_READERS: Readonly<Record<string, [limit: keyof AgentLimits, read: Reader]>> = {
  connections: ['connections', count(1, 1_000_000)],
  connections_per_second: ['connectionsPerSecond', count(1, 1_000_000)],
  bytes_up: ['bytesUpPerDay', perDay],
};

const RULE_READERS: Readonly<Record<string, [limit: 'bytesUpPerDay', read: Reader]>> = {
  bytes_up: ['bytesUpPerDay', perDay],
};

const LATER_KEYS = ['bytes_down', 'bytes_per_day'];

/** Under `limits` at the top: for everything together, and for each agent. */
export function readLimits(reading: Reading, { node }: Entry): Partial<Limits> {
  return readKeys(reading, node, "'limits'", READERS);
}

/** Under `limits` in the section of an agent. */
export function readAgentLimits(reading: Reading, { node }: Entry): Partial<AgentLimits> {
  return readKeys(reading, node, 'the limits of an agent', AGENT_READERS);
}

/** Under `limits` of a rule. */
export function readRuleLimits(reading: Reading, { node }: Entry): number | null {
  return readKeys(reading, node, 'the limits of a rule', RULE_READERS).bytesUpPerDay ?? null;
}

function readKeys<Name extends string>(
  reading: Reading,
  node: Node,
  what: string,
  readers: Readonly<Record<string, readonly [limit: Name, read: Reader]>>,
): Partial<Record<Name, number>> {
  const limits: Partial<Record<Name, number>> = {};
  for (const [key, entry] of reading.map(node, what, Object.keys(readers), LATER_KEYS)) {
    const [limit, read] = readers[key]!;
    const value = read(reading, entry.node, key);
    if (value !== null) limits[limit] = value;
  }
  return limits;
}
