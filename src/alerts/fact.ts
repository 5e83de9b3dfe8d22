/**
 * What conditions count, of one row or of one total. One such object serves for all rows: a hundred thousand
 * of them a second are not worth a new one each.
 */
import { OTHER_HOSTS } from '../events/distinct.ts';
import { registrableDomain } from '../names/suffix.ts';
import type { Metric } from '../policy/alerts/condition.ts';
import type { Reason } from '../policy/reason.ts';

/** `requests`: allowed or not. `findings`: what a detector found. */
export type Measure = Metric | 'requests' | 'findings';

/** Of all facts there are: series remember by it what they counted last. */
let turns = 0;

export class Fact {
  time = 0;
  agent = '';
  /** In parentheses where it stands for many; null for what concerns no host. */
  host: string | null = null;
  reason: Reason | null = null;
  /** The policy's rule that decided. */
  rule: string | null = null;
  /** Which fact this is, to count it once where several ways lead to the same series. */
  turn = 0;

  #domain: string | null | undefined;

  /** Starts another fact. */
  set(time: number, agent: string, host: string | null, reason: Reason | null, rule: string | null): this {
    this.time = time;
    this.agent = agent;
    this.host = host;
    this.reason = reason;
    this.rule = rule;
    this.turn = ++turns;
    this.#domain = undefined;
    return this;
  }

  /** The same once more, to be counted again. */
  again(): this {
    this.turn = ++turns;
    return this;
  }

  /** The registrable domain of the host; the host itself where it has none. */
  get domain(): string | null {
    if (this.#domain === undefined) this.#domain = this.host === null ? null : domainOf(this.host);
    return this.#domain;
  }
}

const MOST_CACHED = 20_000;
const cached = new Map<string, string>();

function domainOf(host: string): string {
  let domain = cached.get(host);
  if (domain === undefined) {
    if (cached.size >= MOST_CACHED) cached.clear();
    domain = find(host);
    cached.set(host, domain);
  }
  return domain;
}

function find(host: string): string {
  if (host === OTHER_HOSTS || host.includes(':') || /^[\d.]+$/.test(host)) return host;
  const name = host.startsWith('(') ? host.slice(1, -1) : host;
  return registrableDomain(name) ?? name;
}
