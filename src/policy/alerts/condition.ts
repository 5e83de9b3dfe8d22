/**
 * When an alert fires, as data. The text that a person writes is read by `parseCondition` (parse.ts) and written
 * back by `printCondition` (print.ts).
 */
import type { Reason } from '../reason.ts';

export const METRICS = [
  'blocked_requests',
  'allowed_requests',
  'failed_requests',
  'new_blocked_domains',
  'dns_queries',
  'bytes_up',
  'bytes_down',
] as const;

/** `new_blocked_domains`: registrable domains refused for the first time since the records begin. `bytes_*`: octets of payload. */
export type Metric = (typeof METRICS)[number];

export const OPERATORS = ['>', '>=', '<', '<=', '==', '!='] as const;
export type Operator = (typeof OPERATORS)[number];

export type Value =
  /** A count, or octets. */
  | { kind: 'number'; number: number }
  /** So many times what is usual for the same agent (or host, or domain) at this hour of the week. */
  | { kind: 'baseline'; factor: number };

export const GROUPS = ['agent', 'host', 'domain'] as const;
/** `domain` is the registrable domain of the host. */
export type Group = (typeof GROUPS)[number];

/** A row counts only if every filter holds; a filter holds if one of its values does. */
export type Filter =
  | { field: 'agent'; test: 'equals'; values: readonly string[] }
  | { field: 'reason'; test: 'equals'; values: readonly Reason[] }
  /** `equals`: that host alone. `matches`: patterns as in rules, `*.example.com` or a range of addresses. */
  | { field: 'host'; test: 'equals' | 'matches'; values: readonly string[] }
  /** `equals`: that name and every name below it. `matches`: the same for a name; `*.name` only what is below. */
  | { field: 'domain'; test: 'equals' | 'matches'; values: readonly string[] };

export const DETECTORS = [
  'lookalike',
  'risky_tld',
  'dns_tunnel',
  'unusual_upload',
  'unexpected_agent',
  'first_contact',
  'policy_rejected',
  'killed',
  'gateway_restarted',
  'store_failing',
  'fence_broken',
] as const;
export type DetectorName = (typeof DETECTORS)[number];

export interface Threshold {
  kind: 'threshold';
  metric: Metric;
  op: Operator;
  value: Value;
  /** Milliseconds, whole seconds: 1 s to 7 days. */
  window: number;
  /** Null: everything on this machine is counted together. */
  per: Group | null;
  where: readonly Filter[];
}

/** A request to a host that one of the patterns matches, allowed or not. */
export interface DomainMatch {
  kind: 'domain';
  /** As the values of `domain matches` in a filter. */
  patterns: readonly string[];
  where: readonly Filter[];
}

export interface Detection {
  kind: 'detector';
  name: DetectorName;
  where: readonly Filter[];
}

export type Condition =
  | Threshold
  | DomainMatch
  | Detection
  /** Two or more each. */
  | { kind: 'and' | 'or'; of: readonly Condition[] }
  | { kind: 'not'; of: Condition };
