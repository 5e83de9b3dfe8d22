/** The sections under `agents`: what one agent may do besides the rules for everybody, and where it comes from. */
import { type Range, rangeText } from '../names/range.ts';
import type { AgentSection } from './document.ts';
import { readAgentLimits } from './limitentry.ts';
import type { Entry, Reading } from './reading.ts';
import { readAgentName, readRanges, readRules } from './ruleentry.ts';

const KEYS = ['inherit', 'allow', 'deny', 'from', 'limits'];
const LATER_KEYS = ['token', 'presets', 'mode'];

export function readAgents(reading: Reading, { node }: Entry): Map<string, AgentSection> {
  const sections = new Map<string, AgentSection>();
  const owners = new Map<string, string>();
  for (const [name, { key, node: section }] of reading.openMap(node, "'agents'") ?? []) {
    if (readAgentName(reading, key) === null) continue;
    const keys = reading.map(section, `the section of ${name}`, KEYS, LATER_KEYS);
    const read = <T>(key: string, reader: (entry: Entry) => T | null, otherwise: T): T => {
      const entry = keys.get(key);
      return (entry === undefined ? null : reader(entry)) ?? otherwise;
    };
    sections.set(name, {
      inherit: read('inherit', ({ node }) => reading.boolean(node, 'inherit'), true),
      from: read('from', (entry) => readFrom(reading, entry, name, owners), []),
      limits: read('limits', (entry) => readAgentLimits(reading, entry), {}),
      rules: [
        ...read('allow', (entry) => readRules(reading, entry, 'allow', name), []),
        ...read('deny', (entry) => readRules(reading, entry, 'deny', name), []),
      ],
    });
  }
  return sections;
}

/** `owners`: whose the ranges read so far are. Of nested ranges the narrowest counts, but one belongs to one agent. */
function readFrom(
  reading: Reading,
  entry: Entry,
  agent: string,
  owners: Map<string, string>,
): readonly Range[] | null {
  const ranges = readRanges(reading, entry, '10.2.0.0/16');
  for (const range of ranges ?? []) {
    const text = rangeText(range);
    const owner = owners.get(text) ?? agent;
    owners.set(text, owner);
    if (owner !== agent)
      reading.problem(
        entry.node,
        `${text} is where ${owner} comes from`,
        `Take it out of ${owner} or ${agent}.`,
      );
  }
  return ranges;
}
