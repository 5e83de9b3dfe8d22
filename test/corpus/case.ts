/** The cases: what goes in, what must come out, and what must not happen. All in `cases.json`, 312 of them. */
import corpus from './cases.json' with { type: 'json' };
import { HELLOS } from './clienthello.ts';

/** `deny`: well formed and refused by the policy. `error`: malformed or ambiguous. */
export type Verdict = 'allow' | 'deny' | 'error';

export interface Segment {
  raw?: string;
  hex?: string;
  delay_ms?: number;
  wait_ms?: number;
  wait_response?: boolean;
  split?: 'each-byte';
}

export interface Input {
  raw?: string;
  raw_template?: string;
  hex?: string;
  segments?: Segment[];
  gen?: string | { builder?: string; case?: string; repeat?: number; query_hex?: string };
  dst_ip?: string;
  dst_port?: number;
  transport?: 'udp' | 'tcp';
  host?: string;
  port?: number | string;
  connect?: string;
  sni?: string;
  inner?: unknown;
  decoded?: { name?: string };
  file_text?: string;
  file_hex?: string;
  steps?: string[];
  sandbox?: string;
  udp?: boolean;
  qname?: string;
  query?: string;
  /** No name stands behind the address that was dialled. Not of the corpus: a second reading of its cases. */
  unbound?: boolean;
}

export interface CorpusPolicy {
  allow?: readonly (string | { host: string })[];
  deny?: readonly (string | { host: string })[];
  private_ranges?: 'allow' | 'deny';
  proxy_auth?: boolean;
  file?: string;
}

export interface Setup {
  /** Answers of the name server. */
  dns?: Record<string, { A?: string[]; AAAA?: string[]; sequence?: [string, string][] }>;
  /** Names that stand behind an address that a client dials. */
  dns_binding?: Record<string, string[]>;
  upstream_response?: string;
  deny?: string[];
}

export interface Case {
  id: string;
  class: string;
  title: string;
  channel: string;
  policy: CorpusPolicy;
  input: Input;
  setup?: Setup;
  then?: { tls_sni?: null; raw?: string; policy_change?: CorpusPolicy };
  expected: Verdict;
  also_ok?: Verdict[];
  must_not?: string[];
}

export const CASES = corpus as unknown as readonly Case[];

export const casesOf = (...channels: string[]): readonly Case[] =>
  CASES.filter(({ channel }) => channels.includes(channel));

/** What a client sends before it listens, in one piece; null where it waits for answers in between. */
export function octetsOf({ input }: Case): Buffer | null {
  if (input.raw !== undefined) return Buffer.from(input.raw, 'latin1');
  if (input.hex !== undefined) return Buffer.from(input.hex, 'hex');
  if (typeof input.gen === 'object' && input.gen.case !== undefined) return HELLOS[input.gen.case]!();
  const only = input.segments?.length === 1 ? input.segments[0]!.hex : undefined;
  return only === undefined ? null : Buffer.from(only, 'hex');
}
