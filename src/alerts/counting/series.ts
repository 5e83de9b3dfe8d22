/**
 * One thing that is counted, for each agent, host or domain apart: a measure and the filters that narrow it. Rules
 * that count the same share it, whatever their numbers and windows. How many groups are told apart is bounded: past
 * that, those in which least happened are forgotten, so that a flood of names hides none that is worth an alert.
 */
import type { Filter, Group } from '../../policy/alerts/condition.ts';
import type { Finding } from '../detectors/detector.ts';
import { bucketOf, Counts, LONGEST_EXACT } from './counts.ts';
import type { Fact, Measure } from './fact.ts';

/** Groups of one series, and buckets (16 octets each) of all its groups. */
export const MOST_GROUPS = 4_096;
const MOST_BUCKETS = 500_000;
/** Hosts that are counted by name in one tally of findings. */
const MOST_HOSTS = 50;
/** New buckets between looks at how many there are. */
const LOOK = 50_000;

/** Where in a series something is counted. */
export interface Tally {
  key: string;
  /** By the second and by the minute, as the windows of the series need. */
  seconds: Counts | null;
  minutes: Counts | null;
  /** Everything that was ever counted here, and the policy's rule that decided the last of it. */
  total: number;
  lastRule: string | null;
  lastTime: number;
  /** Where findings are counted: the last one, and at which hosts there were how many. */
  findings: { last: Finding; hosts: Map<string, number> } | null;
  isChanged: boolean;
  /** How many open incidents there are for it: it is not forgotten meanwhile. */
  pins: number;
}

export class Series {
  readonly tallies = new Map<string, Tally>();
  /** Those to which something was added since they were last looked at. */
  changed: Tally[] = [];
  /** The turn of the fact that was counted last. */
  turn = -1;

  #longestSeconds = 0;
  #longestMinutes = 0;
  #grown = 0;

  constructor(
    readonly measure: Measure,
    readonly where: readonly Filter[],
    /** What is told apart, in this order; nothing: one tally for everything. */
    readonly by: readonly Group[],
    /** Which detector's findings are counted. */
    readonly detector: string | null,
  ) {}

  /** Call before anything is added. */
  remember(window: number): void {
    if (window <= LONGEST_EXACT) this.#longestSeconds = Math.max(this.#longestSeconds, window);
    else this.#longestMinutes = Math.max(this.#longestMinutes, window);
  }

  get longest(): number {
    return Math.max(this.#longestSeconds, this.#longestMinutes);
  }

  /** `at`: now, as the engine sees it. */
  add(fact: Fact, count: number, at: number): void {
    const tally = this.#at(fact, at);
    if (tally === null) return;
    const size = sizeOf(tally);
    tally.seconds?.add(fact.time, count);
    tally.minutes?.add(fact.time, count);
    this.#added(tally, fact, count);
    const grown = sizeOf(tally) - size;
    if (grown === 0) return;
    this.#trim(tally, at);
    this.#grown += grown;
    if (this.#grown >= LOOK) this.#forgetMost(at);
  }

  /** Adds to the windows of one width only, as history is read: `total` follows the one that is asked for. */
  addPast(fact: Fact, count: number, at: number, width: 'seconds' | 'minutes'): void {
    const tally = this.#at(fact, at);
    if (tally?.[width] == null) return;
    tally[width].add(fact.time, count);
    const isLeading = width === (this.#longestMinutes > 0 ? 'minutes' : 'seconds');
    this.#added(tally, fact, isLeading ? count : 0);
  }

  addFinding(fact: Fact, finding: Finding, at: number): void {
    this.add(fact, 1, at);
    const tally = this.tallies.get(this.keyOf(fact) ?? '');
    if (tally === undefined) return;
    tally.findings ??= { last: finding, hosts: new Map() };
    tally.findings.last = finding;
    const { hosts } = tally.findings;
    if (finding.host !== null && (hosts.size < MOST_HOSTS || hosts.has(finding.host)))
      hosts.set(finding.host, (hosts.get(finding.host) ?? 0) + 1);
  }

  #at(fact: Fact, at: number): Tally | null {
    const key = this.keyOf(fact);
    if (key === null) return null;
    const known = this.tallies.get(key);
    if (known !== undefined) return known;
    if (this.tallies.size >= MOST_GROUPS) this.#forgetLeast(at);
    // Every one of them has an alert of its own already.
    return this.tallies.size < MOST_GROUPS ? this.tally(key) : null;
  }

  #added(tally: Tally, fact: Fact, count: number): void {
    tally.total += count;
    if (fact.time >= tally.lastTime) {
      tally.lastTime = fact.time;
      tally.lastRule = fact.rule;
    }
    if (tally.isChanged) return;
    tally.isChanged = true;
    this.changed.push(tally);
  }

  /** The tally of this key, begun if there is none. */
  tally(key: string): Tally {
    let tally = this.tallies.get(key);
    if (tally === undefined) {
      tally = {
        key,
        seconds: this.#longestSeconds > 0 ? new Counts(1_000) : null,
        minutes: this.#longestMinutes > 0 ? new Counts(60_000) : null,
        ...{ total: 0, lastRule: null, lastTime: 0, findings: null, isChanged: false, pins: 0 },
      };
      this.tallies.set(key, tally);
    }
    return tally;
  }

  keyOf(fact: Fact): string | null {
    const { by } = this;
    if (by.length === 0) return '';
    // A finding may be about no host, or about many.
    if (this.measure === 'findings') return by.map((group) => fact[group] ?? '').join('\n');
    if (by.length === 1) return partOf(fact, by[0]!);
    const parts = by.map((group) => partOf(fact, group));
    return parts.includes(null) ? null : parts.join('\n');
  }

  #trim(tally: Tally, at: number): void {
    tally.seconds?.forget(at, this.#longestSeconds);
    tally.minutes?.forget(at, this.#longestMinutes);
  }

  /** Makes room for as many groups again. */
  #forgetLeast(at: number): void {
    const idle: { tally: Tally; held: number }[] = [];
    for (const tally of this.tallies.values()) {
      this.#trim(tally, at);
      if (tally.pins > 0) continue;
      idle.push({ tally, held: within(tally, at, this.longest) });
    }
    idle.sort((a, b) => a.held - b.held || a.tally.lastTime - b.tally.lastTime);
    const most = Math.max(1, Math.ceil(idle.length / 2));
    for (const { tally } of idle.slice(0, most)) this.tallies.delete(tally.key);
  }

  #forgetMost(at: number): void {
    this.#grown = 0;
    let buckets = 0;
    for (const tally of this.tallies.values()) {
      this.#trim(tally, at);
      buckets += sizeOf(tally);
    }
    if (buckets > MOST_BUCKETS) this.#forgetLeast(at);
  }
}

function sizeOf({ seconds, minutes }: Tally): number {
  return (seconds?.size ?? 0) + (minutes?.size ?? 0);
}

/** What a tally counted in the window that ends at `at`. */
export function within(tally: Tally, at: number, window: number): number {
  const counts = bucketOf(window) === 1_000 ? tally.seconds : tally.minutes;
  return Math.max(0, counts?.within(at, window) ?? 0);
}

export function nextLeaving(tally: Tally, at: number, window: number): number {
  const counts = bucketOf(window) === 1_000 ? tally.seconds : tally.minutes;
  return counts?.nextLeaving(at, window) ?? Number.POSITIVE_INFINITY;
}

/** A host that stands for many is no host of its own. */
function partOf(fact: Fact, group: Group): string | null {
  if (group === 'agent') return fact.agent;
  const name = group === 'domain' ? fact.domain : fact.host;
  return name === null || name.startsWith('(') ? null : name;
}
