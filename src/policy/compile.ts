/**
 * From files to one policy. The machine-wide file comes first: its denials stand whatever follows, what it says
 * once (mode, resolver, a host's address, who comes from an address) holds, of limits the smallest does, and where
 * it is locked nothing below it may add.
 */
import type { Address } from '../names/address.ts';
import type { ChannelConfig } from './alerts/channel.ts';
import type { Rule } from './decision.ts';
import type { PolicyDocument } from './document.ts';
import { type ListenEntry, placeOf } from './listener.ts';
import type { AgentScope, Policy } from './policy.ts';
import type { Preset } from './presets/preset.ts';
import { WEB_PORTS } from './ruleentry.ts';
import { agentLimits, agentScopes, limitsIn, originsIn } from './scopes.ts';
import { buildTable, type Placed } from './tablebuilder.ts';

/** `documents`: machine-wide first. None at all is a policy that allows nothing. */
export function compile(documents: readonly PolicyDocument[]): Policy {
  const lock = documents.findIndex((document) => document.locked);
  // Where a file is locked, only denials and narrowings of later files still count.
  const adding = lock < 0 ? documents : documents.slice(0, lock + 1);
  const agents = agentScopes(documents, adding.length);
  const hosts = new Map<string, readonly Address[]>();
  for (const document of adding)
    for (const [name, addresses] of document.hosts) if (!hosts.has(name)) hosts.set(name, addresses);
  return Object.freeze({
    mode: adding.find((document) => document.mode !== null)?.mode ?? 'enforce',
    files: documents.map((document) => document.file),
    lockedBy: documents[lock]?.file ?? null,
    table: buildTable(() => placedRules(documents, adding.length, agents)),
    agents,
    hosts,
    upstream: adding.find((document) => document.upstream !== null)?.upstream ?? 'system',
    limits: limitsIn(documents, adding.length),
    agentLimits: agentLimits(documents, adding.length, null),
    listen: listenersIn(adding),
    from: originsIn(adding),
    alerts: alertsIn(documents),
    channels: channelsIn(documents),
  });
}

/** What an earlier file says about a place holds. */
function listenersIn(documents: readonly PolicyDocument[]): ListenEntry[] {
  const entries = new Map<string, ListenEntry>();
  for (const entry of documents.flatMap((document) => document.listen)) {
    const place = placeOf(entry);
    if (!entries.has(place)) entries.set(place, entry);
  }
  return [...entries.values()];
}

/** What an earlier file says about an alert holds. */
function alertsIn(documents: readonly PolicyDocument[]): Policy['alerts'] {
  const alerts = new Map<string, Policy['alerts'][number]>();
  for (const document of documents)
    for (const alert of document.alerts) if (!alerts.has(alert.name)) alerts.set(alert.name, alert);
  return [...alerts.values()];
}

function channelsIn(documents: readonly PolicyDocument[]): Map<string, ChannelConfig> {
  const channels = new Map<string, ChannelConfig>();
  for (const document of documents)
    for (const channel of document.channels)
      if (!channels.has(channel.name)) channels.set(channel.name, channel);
  return channels;
}

/** Every rule that counts, in policy order, with the agents for which it does. */
function* placedRules(
  documents: readonly PolicyDocument[],
  adding: number,
  agents: ReadonlyMap<string, AgentScope>,
): Iterable<Placed> {
  const presets = new Set<Preset>();
  for (const [level, document] of documents.entries()) {
    const counts = (rule: Rule) => level < adding || rule.action === 'deny';
    for (const preset of level < adding ? document.presets : []) {
      if (presets.has(preset)) continue;
      presets.add(preset);
      for (const host of preset.hosts) yield { rule: presetRule(preset, host), agents: null };
    }
    for (const rule of document.rules) {
      if (!counts(rule)) continue;
      if (rule.agents.length === 0) yield { rule, agents: null };
      else yield { rule, agents: inheriting(rule, agents) };
    }
    for (const [name, section] of document.agents)
      for (const rule of section.rules) if (counts(rule)) yield { rule, agents: [agents.get(name)!.number] };
  }
}

/** A rule outside an agent's own section reaches an agent without inheritance only where it denies. */
function inheriting(rule: Rule, agents: ReadonlyMap<string, AgentScope>): number[] {
  return rule.agents
    .map((name) => agents.get(name)!)
    .filter((agent) => agent.inherit || rule.action === 'deny')
    .map((agent) => agent.number);
}

function presetRule(preset: Preset, host: string): Rule {
  return {
    action: 'allow',
    host,
    ports: WEB_PORTS,
    agents: [],
    addresses: [],
    tls: 'sni',
    upgrade: [],
    bytesUpPerDay: null,
    until: null,
    note: null,
    force: false,
    source: { kind: 'preset', preset: preset.name, version: preset.version },
  };
}
