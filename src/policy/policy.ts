/** A compiled policy: never changed, so that one connection is judged by one policy from first to last. */
import type { Address } from '../names/address.ts';
import type { Range } from '../names/range.ts';
import type { AlertRule } from './alerts/alertrule.ts';
import type { ChannelConfig } from './alerts/channel.ts';
import type * as Defaults from './alerts/defaults.ts';
import type { Rule } from './decision.ts';
import type { Mode } from './document.ts';
import type { AgentLimits, Limits } from './limits.ts';
import type { ListenEntry } from './listener.ts';
import { type RuleTable, ruleAt, rulesIn } from './table.ts';

export interface Policy {
  readonly mode: Mode;
  /** The files it was compiled from, machine-wide first. */
  readonly files: readonly string[];
  /** The file that lets nothing be added below it, or null. */
  readonly lockedBy: string | null;
  readonly table: RuleTable;
  readonly agents: ReadonlyMap<string, AgentScope>;
  readonly hosts: ReadonlyMap<string, readonly Address[]>;
  readonly upstream: string;
  readonly limits: Limits;
  /** Of agents that the policy does not name. */
  readonly agentLimits: AgentLimits;
  readonly listen: readonly ListenEntry[];
  readonly from: readonly Origin[];
  /** What the files say, and nothing else; see `alertsOf`. */
  readonly alerts: readonly (AlertRule & { enabled: boolean })[];
  readonly channels: ReadonlyMap<string, ChannelConfig>;
}

/** Agents that a policy names; all others have only the rules for every agent. */
export interface AgentScope {
  /** From 1. */
  number: number;
  /** False: allow rules for every agent do not hold for this one. */
  inherit: boolean;
  limits: AgentLimits;
}

/** Who connections from these addresses belong to. */
export interface Origin {
  range: Range;
  agent: string;
}

export function modeOf(policy: Policy): Mode {
  return policy.mode;
}

export function limitsOf(policy: Policy): Limits {
  return policy.limits;
}

/** What one agent may use up, whether the policy names it or not. */
export function agentLimitsOf(policy: Policy, agent: string): AgentLimits {
  return policy.agents.get(agent)?.limits ?? policy.agentLimits;
}

/** Without duplicates, in the order of the files. */
export function listenOf(policy: Policy): readonly ListenEntry[] {
  return policy.listen;
}

/** The first that holds an address decides: machine-wide first, then the narrowest. */
export function fromOf(policy: Policy): readonly Origin[] {
  return policy.from;
}

/** `system`, an address with an optional port, or an https:// URL. */
export function upstreamOf(policy: Policy): string {
  return policy.upstream;
}

/** Names with fixed addresses, canonical. */
export function hostsOf(policy: Policy): ReadonlyMap<string, readonly Address[]> {
  return policy.hosts;
}

/** Every alert that is on, those that ship with the program included. */
export function alertsOf(policy: Policy): readonly AlertRule[] {
  // Nothing on the way of a connection asks, and a start should not wait for conditions to be parsed.
  const defaults: typeof Defaults = require('./alerts/defaults.ts');
  return defaults.withDefaults(policy.alerts);
}

/** By name, in the order of the files. */
export function channelsOf(policy: Policy): ReadonlyMap<string, ChannelConfig> {
  return policy.channels;
}

export function ruleCount(policy: Policy): number {
  return policy.table.count;
}

/** Every rule, in policy order. */
export function* rulesOf(policy: Policy): Iterable<Rule> {
  for (const rule of rulesIn(policy.table)) yield ruleAt(policy.table, rule);
}
