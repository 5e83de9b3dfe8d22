/**
 * Alerts over rows of events. It has no clock but the rows' own time and that up to which it is told to go, and does
 * nothing but answer what has changed, so that recorded history gives the same answers as the moment itself.
 */
import type { StoredEvent } from '../../events/row.ts';
import type { DetectorName } from '../../policy/alerts/condition.ts';
import type { CompiledRule, Surroundings } from '../counting/condition.ts';
import { Fact, type Measure } from '../counting/fact.ts';
import type { History } from '../counting/history.ts';
import type { NewDomains } from '../counting/newdomains.ts';
import { Ongoing } from '../counting/ongoing.ts';
import type { Presence } from '../counting/presence.ts';
import { createRulebook, type Rulebook } from '../counting/rulebook.ts';
import type { Series } from '../counting/series.ts';
import { createUsual } from '../counting/usual.ts';
import type { Detector, Finding } from '../detectors/detector.ts';
import type { Acknowledgement, Incident } from '../incident.ts';
import type { SharedRule } from '../recipient.ts';
import { type Change, Life } from './life.ts';
import type { Mutes } from './mutes.ts';

export interface EvaluationOptions {
  rules: readonly SharedRule[];
  history: History;
  presence: Presence;
  mutes: Mutes;
  newDomains: NewDomains;
  /** Those that the rules name. */
  detectors: ReadonlyMap<DetectorName, Detector>;
  /** Where time begins: nothing before it is looked at. Wall time, milliseconds. */
  at: number;
}

export class Evaluation {
  readonly rulebook: Rulebook;
  readonly #presence: Presence;
  readonly #mutes: Mutes;
  readonly #newDomains: NewDomains;
  readonly #detectors: readonly (readonly [DetectorName, Detector])[];
  readonly #lives: readonly Life[];
  /** Those in which something was counted since the last look. */
  readonly #touched = new Set<Series>();
  readonly #fact = new Fact();
  readonly #ongoing = new Ongoing();
  readonly #lifeOf = new Map<CompiledRule, Life>();
  #changes: Change[] = [];
  #at: number;
  #second: number;

  constructor({ rules, history, presence, mutes, newDomains, detectors, at }: EvaluationOptions) {
    this.#presence = presence;
    this.#mutes = mutes;
    this.#newDomains = newDomains;
    this.#detectors = [...detectors];
    this.#at = at;
    this.#second = Math.floor(at / 1_000);
    this.rulebook = createRulebook(rules);
    const around: Surroundings = {
      missedUntil: (time, window, agent) => presence.missedUntil(time, window, agent),
      usual: createUsual(history),
    };
    const emit = (change: Change) => void this.#changes.push(change);
    this.#lives = this.rulebook.rules.map((rule) => new Life(rule, around, mutes, emit));
    for (const life of this.#lives) this.#lifeOf.set(life.rule, life);
  }

  /** Up to when everything is evaluated. Wall time, milliseconds. */
  get at(): number {
    return this.#at;
  }

  /** Whether any detector looks at rows. */
  get wantsEvents(): boolean {
    return this.#detectors.length > 0;
  }

  /** What rules and detectors make of one row. `time` is that of the row, or now where the row claims to be later. */
  see(row: SeenRow, time: number): void {
    this.#ongoing.settle(row);
    if (row.kind === 'notice') this.session(row.outcome ?? '', row.agent, row.session, time);
    else this.count(time, row.agent, row.host, row);
    if (this.wantsEvents) this.detect(row.event(), time);
  }

  /** The same of its counts alone. */
  count(time: number, agent: string, host: string | null, row: Countable): void {
    this.#reach(time);
    if (this.rulebook.series.length === 0) return;
    const fact = this.#fact.set(time, agent, host, row.reason, row.rule);
    switch (row.kind) {
      case 'decision':
        this.#add('requests', fact, row.count);
        if (row.outcome === 'allow') this.#add('allowed_requests', fact, row.count);
        else this.#addBlocked(fact, row.count);
        break;
      case 'refusal':
        this.#add('allowed_requests', fact, -row.count);
        this.#addBlocked(fact, row.count);
        break;
      case 'progress':
      case 'close':
        if (row.outcome === 'failed') this.#add('failed_requests', fact, row.count);
        this.#add('bytes_up', fact, row.bytesUp);
        this.#add('bytes_down', fact, row.bytesDown);
        break;
      case 'question':
        this.#add('dns_queries', fact, row.count);
    }
  }

  /** What the detectors make of one row. Without a `time` it was seen before, and only needs to be remembered. */
  detect(row: StoredEvent, time?: number): void {
    if (time !== undefined) this.#reach(time);
    for (const [name, detector] of this.#detectors) {
      const finding = detector.see(row);
      if (finding !== null) this.#addFinding(name, finding, time ?? Math.min(row.time, this.#at));
    }
  }

  /** A gateway began or ceased to serve an agent. */
  session(topic: string, agent: string, session: string, time: number): void {
    if (topic === 'gateway-started') this.#presence.started(agent, session, time);
    else if (topic === 'gateway-stopped') this.#presence.stopped(agent, session, time);
  }

  /** Lets time pass, with all that follows from it alone. */
  advance(to: number): void {
    this.#look();
    for (;;) {
      let due = Number.POSITIVE_INFINITY;
      for (const life of this.#lives) due = Math.min(due, life.due);
      if (due > to) break;
      this.#at = Math.max(this.#at, due);
      for (const life of this.#lives) {
        life.lookAtDue(this.#at);
        life.settle(this.#at);
      }
    }
    this.#at = Math.max(this.#at, to);
    this.#second = Math.floor(this.#at / 1_000);
  }

  /** What has changed since this was last asked, in order. `isExact`: with the numbers of what is open. */
  changes(isExact: boolean): Change[] {
    this.#look();
    if (isExact) for (const life of this.#lives) if (life.held.size > 0) life.countAll(this.#at);
    this.#mutes.forget(this.#at);
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  /** Goes on with incidents that were open before; answers those whose alerts are gone. Call after `recall`. */
  restore(incidents: readonly Incident[]): Incident[] {
    const gone: Incident[] = [];
    for (const incident of incidents) {
      const life = this.#lives.find(
        ({ rule: { rule } }) => rule.name === incident.rule && rule.text === incident.condition,
      );
      if (life === undefined) gone.push(incident);
      else life.restore(incident);
    }
    for (const life of this.#lives) life.rejoin(this.#at);
    return gone;
  }

  /** Ends an incident whose alert is gone. */
  remove(incident: Incident): void {
    const { state, told } = incident;
    Object.assign(incident, { state: 'resolved', resolvedAt: this.#at, resolvedBy: 'rule-removed' });
    const kind = state === 'firing' ? 'resolved' : 'ended';
    const tell = state === 'firing' && told ? 'resolved' : null;
    this.#changes.push({ kind, incident, tell, about: null });
  }

  /** Somebody has taken on some of what is open. */
  acknowledge(acknowledged: ReadonlyMap<string, Acknowledgement>): void {
    for (const life of this.#lives) {
      for (const incident of life.open()) {
        incident.acknowledged = acknowledged.get(incident.id) ?? incident.acknowledged;
      }
    }
  }

  /** Whether any alert counts by the minute, and so has to be told of more than the last hour. */
  get longest(): number {
    return Math.max(0, ...this.rulebook.series.map((series) => series.longest));
  }

  /** Adds to the windows what happened before: `fact` says when and where, `amount` how much of each measure. */
  recall(fact: Fact, amount: (measure: Measure) => number, width: 'seconds' | 'minutes'): void {
    fact.again();
    for (const measure of MEASURES) {
      const routes = this.rulebook.routes[measure];
      if (routes === undefined) continue;
      const count = amount(measure);
      if (count === 0) continue;
      routes.find(fact, (series) => {
        series.addPast(fact, count, this.#at, width);
        this.#touched.add(series);
      });
    }
  }

  /** A finding from before, of which nothing is left but that it was. */
  recallFinding(detector: DetectorName, finding: Finding, time: number): void {
    this.#addFinding(detector, finding, time);
  }

  #reach(time: number): void {
    const second = Math.floor(time / 1_000);
    if (second > this.#second) this.advance(second * 1_000);
    if (time > this.#at) this.#at = time;
  }

  #addBlocked(fact: Fact, count: number): void {
    this.#add('blocked_requests', fact, count);
    if (this.rulebook.routes.new_blocked_domains === undefined) return;
    if (this.#newDomains.see(fact.domain, fact.time)) this.#add('new_blocked_domains', fact, 1);
  }

  #add(measure: Measure, fact: Fact, count: number): void {
    const routes = this.rulebook.routes[measure];
    if (routes === undefined || count === 0) return;
    routes.find(fact, (series) => {
      series.add(fact, count, this.#at);
      if (series.changed.length === 1) this.#touched.add(series);
    });
  }

  #addFinding(name: DetectorName, finding: Finding, time: number): void {
    const fact = this.#fact.set(time, finding.agent ?? '', finding.host, null, null);
    for (const { series, matches } of this.rulebook.findings.get(name) ?? []) {
      if (!matches(fact)) continue;
      series.addFinding(fact, finding, this.#at);
      this.#touched.add(series);
    }
  }

  /** Looks at every group in which something was counted. */
  #look(): void {
    if (this.#touched.size === 0) return;
    const settling = new Set<Life>();
    for (const series of this.#touched) {
      const { changed } = series;
      series.changed = [];
      for (const tally of changed) tally.isChanged = false;
      for (const { rule, leaf } of this.rulebook.uses.get(series) ?? []) {
        const life = this.#lifeOf.get(rule)!;
        settling.add(life);
        if (leaf.parts.length === rule.by.length) {
          for (const { key } of changed) life.look(rule.by.length === 0 ? [] : key.split('\n'), this.#at);
        } else life.lookAtAll(this.#at);
      }
    }
    this.#touched.clear();
    for (const life of settling) life.settle(this.#at);
  }
}

/** What is counted of a row. */
export interface Countable {
  kind: string;
  outcome: string | null;
  reason: Fact['reason'];
  rule: string | null;
  count: number;
  bytesUp: number;
  bytesDown: number;
}

/** A row as it is read. */
export interface SeenRow extends Countable {
  agent: string;
  host: string | null;
  session: string;
  connection: number | null;
  event(): StoredEvent;
}

const MEASURES: readonly Measure[] = [
  'requests',
  'allowed_requests',
  'blocked_requests',
  'failed_requests',
  'new_blocked_domains',
  'dns_queries',
  'bytes_up',
  'bytes_down',
];
