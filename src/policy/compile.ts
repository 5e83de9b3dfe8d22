/**
 * From files to one policy. The machine-wide file comes first: its denials stand whatever follows, what it says
 * once (mode, resolver, limits, a host's address) holds, and where it is locked nothing below it may add.
 */
import type { Address } from '../names/address.ts';
import type { AlertRule } from './alerts/alertrule.ts';
import type { ChannelConfig } from './alerts/channel.ts';
import type { Rule } from './decision.ts';
import type { Limits, PolicyDocument } from './document.ts';
import type { AgentScope, Policy } from './policy.ts';
import type { Preset } from './presets/preset.ts';
import { WEB_PORTS } from './ruleentry.ts';
import { buildTable, type Placed } from './tablebuilder.ts';

const DEFAULT_LIMITS: Limits = { connectionsPerAgent: 1_024, idle: 15 * 60_000, headerBytes: 32_768 };

/** `documents`: machine-wide first. None at all is a policy that allows nothing. */
export function compile(documents: readonly PolicyDocument[]): Policy {
  const lock = documents.findIndex((document) => document.locked);
  // Where a file is locked, only denials and narrowings of later files still count.
  const adding = lock < 0 ? documents : documents.slice(0, lock + 1);
  const agents = agentScopes(documents);
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
    limits: Object.assign({}, DEFAULT_LIMITS, ...adding.map((document) => document.limits).reverse()),
    alerts: alertsIn(documents),
    channels: channelsIn(documents),
  });
}

/** What an earlier file says about an alert holds. */
function alertsIn(documents: readonly PolicyDocument[]): AlertRule[] {
  const alerts = new Map<string, AlertRule & { enabled: boolean }>();
  for (const document of documents)
    for (const alert of document.alerts) if (!alerts.has(alert.name)) alerts.set(alert.name, alert);
  return [...alerts.values()].filter(({ enabled }) => enabled).map(({ enabled: _, ...alert }) => alert);
}

function channelsIn(documents: readonly PolicyDocument[]): Map<string, ChannelConfig> {
  const channels = new Map<string, ChannelConfig>();
  for (const document of documents)
    for (const channel of document.channels)
      if (!channels.has(channel.name)) channels.set(channel.name, channel);
  return channels;
}

/** `inherit: false` narrows, so one file that says it is enough. */
function agentScopes(documents: readonly PolicyDocument[]): Map<string, AgentScope> {
  const agents = new Map<string, AgentScope>();
  const add = (name: string, inherit: boolean) => {
    const known = agents.get(name);
    if (known === undefined) agents.set(name, { number: agents.size + 1, inherit });
    else known.inherit &&= inherit;
  };
  for (const document of documents) {
    for (const rule of document.rules) for (const name of rule.agents) add(name, true);
    for (const [name, section] of document.agents) add(name, section.inherit);
  }
  return agents;
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
    until: null,
    note: null,
    force: false,
    source: { kind: 'preset', preset: preset.name, version: preset.version },
  };
}
