/**
 * The policy file: `readDocument` turns its text into rules with positions, or says everything that is wrong
 * with it. Strict throughout: what is unknown, ambiguous or not supported yet is an error, never ignored.
 */

import { type Address, parseAddress } from '../names/address.ts';
import { parseHost } from '../names/host.ts';
import { mappedRange, parseRange, type Range, rangeText } from '../names/range.ts';
import { readAgents } from './agentsection.ts';
import type * as AlertEntries from './alerts/alertentry.ts';
import type { AlertRule } from './alerts/alertrule.ts';
import type { ChannelConfig } from './alerts/channel.ts';
import type * as ChannelEntries from './alerts/channelentry.ts';
import type { Rule } from './decision.ts';
import { readLimits } from './limitentry.ts';
import type { AgentLimits, Limits } from './limits.ts';
import { readListen } from './listenentry.ts';
import type { ListenEntry } from './listener.ts';
import { MAPPED_ADDRESS } from './pattern.ts';
import type { Preset } from './presets/preset.ts';
import { PRESETS } from './presets/presets.ts';
import { didYouMean, type Problem } from './problem.ts';
import { type Entry, Reading } from './reading.ts';
import { readRules } from './ruleentry.ts';
import { isUpstream } from './upstream.ts';

export type Mode = 'enforce' | 'observe';

export interface PolicyDocument {
  /** As given to `readDocument`; part of every rule's source. */
  file: string;
  /** Null where the file does not say. */
  mode: Mode | null;
  /** Files below this one may deny, but not add. */
  locked: boolean;
  presets: readonly Preset[];
  /** Those under `allow`, then those under `deny`. */
  rules: readonly Rule[];
  agents: ReadonlyMap<string, AgentSection>;
  hosts: ReadonlyMap<string, readonly Address[]>;
  /** Null where the file does not say; see `isUpstream`. */
  upstream: string | null;
  limits: Partial<Limits>;
  listen: readonly ListenEntry[];
  /** Those that the file turns off included. */
  alerts: readonly (AlertRule & { enabled: boolean })[];
  channels: readonly ChannelConfig[];
}

export interface AgentSection {
  /** False: only the allow rules of the agent's own sections hold for it. */
  inherit: boolean;
  /** Where the agent is known to come from. */
  from: readonly Range[];
  limits: Partial<AgentLimits>;
  rules: readonly Rule[];
}

export type DocumentResult = { ok: true; document: PolicyDocument } | { ok: false; problems: Problem[] };

const KEYS = [
  'version',
  'mode',
  'locked',
  'presets',
  'allow',
  'deny',
  'agents',
  'hosts',
  'dns',
  'limits',
  'listen',
  'alerts',
  'channels',
];
const LATER_KEYS = ['approvals', 'retention'];

/** `file` is only used in messages and positions. Never throws. */
export function readDocument(text: string, file: string): DocumentResult {
  const reading = new Reading(text, file);
  if (reading.root === null) return { ok: false, problems: reading.problems };
  const top = reading.map(reading.root, 'the policy', KEYS, LATER_KEYS);
  const read = <T>(key: string, reader: (reading: Reading, entry: Entry) => T, otherwise: T): T => {
    const entry = top.get(key);
    return entry === undefined ? otherwise : reader(reading, entry);
  };
  read('version', checkVersion, undefined);
  const rules = [
    ...read('allow', (reading, entry) => readRules(reading, entry, 'allow', null), []),
    ...read('deny', (reading, entry) => readRules(reading, entry, 'deny', null), []),
  ];
  const document: PolicyDocument = {
    file,
    mode: read('mode', readMode, null),
    locked: read('locked', (reading, { node }) => reading.boolean(node, 'locked'), false) ?? false,
    presets: read('presets', readPresets, []),
    rules,
    agents: read('agents', readAgents, new Map()),
    hosts: read('hosts', readHosts, new Map()),
    upstream: read('dns', readDns, null),
    limits: read('limits', readLimits, {}),
    listen: read('listen', readListen, []),
    alerts: read('alerts', readAlerts, []),
    channels: read('channels', readChannels, []),
  };
  return reading.broken ? { ok: false, problems: reading.problems } : { ok: true, document };
}

/** Loaded where a file has any: most starts need not wait for the language of conditions. */
function readAlerts(reading: Reading, entry: Entry): PolicyDocument['alerts'] {
  const entries: typeof AlertEntries = require('./alerts/alertentry.ts');
  return entries.readAlerts(reading, entry);
}

function readChannels(reading: Reading, entry: Entry): PolicyDocument['channels'] {
  const entries: typeof ChannelEntries = require('./alerts/channelentry.ts');
  return entries.readChannels(reading, entry);
}

function checkVersion(reading: Reading, { node }: Entry): void {
  const text = reading.raw(node, 'the version');
  if (text !== null && text !== '1')
    reading.problem(
      node,
      `version ${text} is not known to this program`,
      'Write version: 1, or update clawctl.',
    );
}

function readMode(reading: Reading, { node }: Entry): Mode | null {
  const mode = reading.choice(node, 'mode', ['enforce', 'observe', 'ask']);
  if (mode !== 'ask') return mode;
  return reading.problem(node, "mode 'ask' is not supported yet", 'Write mode: enforce.');
}

function readPresets(reading: Reading, entry: Entry): readonly Preset[] {
  const names = PRESETS.map((preset) => preset.name);
  const found = new Set<Preset>();
  for (const node of reading.list(entry, 'presets: [default]')) {
    const name = reading.text(node, 'the name of a preset');
    const preset = PRESETS.find((preset) => preset.name === name);
    if (preset !== undefined) found.add(preset);
    else if (name !== null) reading.problem(node, `unknown preset '${name}'`, didYouMean(name, names));
  }
  return [...found];
}

function readHosts(reading: Reading, { node }: Entry): Map<string, readonly Address[]> {
  const hosts = new Map<string, readonly Address[]>();
  for (const [text, entry] of reading.openMap(node, "'hosts'") ?? []) {
    const host = parseHost(text);
    if (host?.kind !== 'name') {
      reading.problem(entry.key, `'${text}' is not a host name`, 'Write it as db.example.com: 10.1.2.3');
      continue;
    }
    if (hosts.has(host.name)) reading.problem(entry.key, `'${host.name}' is given twice`, 'Merge the two.');
    const addresses = readAddresses(reading, entry);
    if (addresses.length === 0 && !reading.broken) reading.problem(entry.node, `'${text}' has no address`);
    hosts.set(host.name, addresses);
  }
  return hosts;
}

/** One address, or a list of them. */
function readAddresses(reading: Reading, { key, node }: Entry): readonly Address[] {
  const nodes = reading.shortText(node) !== null ? [node] : reading.list({ key, node }, '[10.1.2.3]');
  return nodes.flatMap((node) => {
    const text = reading.text(node, 'an address');
    const address = text === null ? null : parseAddress(text);
    if (text !== null && address === null)
      reading.problem(node, `'${text}' is not an address`, 'Such as 10.1.2.3 or 2001:db8::7.');
    const meant = text === null || address === null ? null : mappedRange(parseRange(text)!);
    if (meant !== null) reading.problem(node, `'${text}' is ${MAPPED_ADDRESS}`, `Write ${rangeText(meant)}.`);
    return address ?? [];
  });
}

function readDns(reading: Reading, { node }: Entry): string | null {
  const entry = reading.map(node, "'dns'", ['upstream']).get('upstream');
  const text = entry === undefined ? null : reading.text(entry.node, 'the upstream resolver');
  if (text === null || isUpstream(text)) return text;
  return reading.problem(
    entry!.node,
    `'${text}' is not a resolver`,
    'Write system, an address such as 10.0.0.53 or 10.0.0.53:5353, or an https:// URL.',
  );
}
