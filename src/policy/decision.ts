/** What `decide` is asked and what it answers. Plain data; nothing here does anything. */
import type { Host } from '../names/host.ts';
import type { Reason } from './reason.ts';

/** One connection (or one HTTP request) that somebody wants to open. */
export interface Target {
  agent: string;
  host: Host;
  port: number;
}

export type Verdict = 'allow' | 'deny' | 'ask';

/** Where a rule was written. Line and column count from 1; a preset's rule names its preset instead. */
export type Source =
  | { kind: 'file'; file: string; line: number; column: number }
  | { kind: 'preset'; preset: string; version: string };

/** One rule as a person would read it back. */
export interface Rule {
  action: 'allow' | 'deny';
  /** `api.example.com`, `*.example.com`, `*`, `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`. */
  host: string;
  /** Empty: every port (deny rules). Allow rules always list their ports. */
  ports: readonly number[];
  /** Empty: every agent. */
  agents: readonly string[];
  /** Ranges, in CIDR notation, of addresses that this rule may lead to though they are not public. */
  addresses: readonly string[];
  tls: 'sni' | 'ech' | 'any';
  /** Protocols, in lower case, to which an HTTP connection may change: `websocket`. */
  upgrade: readonly string[];
  /** Octets of payload that may go by this rule in one day (UTC), from each agent; null: any number. */
  bytesUpPerDay: number | null;
  /** Wall time in milliseconds from which the rule no longer counts; null: never. */
  until: number | null;
  note: string | null;
  force: boolean;
  source: Source;
}

export interface Decision {
  verdict: Verdict;
  reason: Reason;
  /** The rule that decided: the deny, or the first matching allow; null where none did. */
  rule: Rule | null;
  /** Every allow rule that matched, in policy order. Hop 4 takes one that admits all addresses; options of two rules never combine. */
  allowedBy: readonly Rule[];
  /** True where `observe` let through what `enforce` would refuse. */
  wouldDeny: boolean;
}

/** A temporary allow that a person gave without touching the file; it always ends. Denials still beat it. */
export type Grant = Rule & { action: 'allow'; until: number };
