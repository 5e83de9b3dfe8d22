/**
 * The life of one alert's incidents: pending, firing, resolved, each group for itself. Many groups that begin to fire
 * together, or one after the other within a minute, are one incident with one message: whoever contacts a thousand
 * hosts does not send a thousand messages.
 */
import {
  type CompiledRule,
  holds,
  keyOfParts,
  type Leaf,
  leafKey,
  measure,
  nextChange,
  type Surroundings,
  tallyOf,
  truthOf,
} from '../counting/condition.ts';
import { within } from '../counting/series.ts';
import { type Incident, recipientsOf, type Transition } from '../incident.ts';
import type { Held } from './held.ts';
import type { Mutes } from './mutes.ts';
import { newIncident } from './newincident.ts';

/** How many groups of one alert have an incident of their own within a minute. */
const MOST_SEPARATE = 3;
const FLOOD_SPAN = 60_000;

export interface Change {
  /** `ended`: it was pending and did not get to fire. `counted`: only its numbers are others. */
  kind: 'pending' | 'firing' | 'resolved' | 'ended' | 'counted';
  incident: Incident;
  /** The message that is due, if one is. */
  tell: Transition | null;
  /** What it counts, to look up where; `parts` null: every group. Null where its alert is gone. */
  about: { leaf: Leaf; parts: readonly string[] | null } | null;
}

export class Life {
  readonly held = new Map<string, Held>();
  readonly #rule: CompiledRule;
  readonly #around: Surroundings;
  readonly #mutes: Mutes;
  readonly #tellOf: (change: Change) => void;
  /** Groups that are to fire now. */
  #ready = new Set<Held>();
  /** When the last ones fired. */
  #fired: number[] = [];
  #flood: { incident: Incident; members: Set<Held>; counted: number; due: number } | null = null;

  constructor(rule: CompiledRule, around: Surroundings, mutes: Mutes, emit: (change: Change) => void) {
    this.#rule = rule;
    this.#around = around;
    this.#mutes = mutes;
    this.#tellOf = emit;
    // What counts everything together can fall silent before anything was counted.
    if (rule.decays && rule.by.length === 0) this.#hold([]);
  }

  get rule(): CompiledRule {
    return this.#rule;
  }

  /** The incident of many groups, while there is one. */
  get flood(): Incident | null {
    return this.#flood?.incident ?? null;
  }

  *open(): Iterable<Incident> {
    for (const { incident } of this.held.values()) if (incident !== null) yield incident;
    if (this.#flood !== null) yield this.#flood.incident;
  }

  /** Goes on with an incident that was open before. */
  restore(incident: Incident): void {
    const { by, rule } = this.#rule;
    // Whoever the alert names now is told; where it named nobody, nobody knows of the incident yet.
    incident.toldTo ??= incident.told ? recipientsOf(incident, 'firing') : [];
    if (incident.toldTo.length === 0) incident.told = false;
    incident.notify = [...rule.notify];
    if (rule.namings !== undefined) incident.namings = [...rule.namings];
    if (incident.groups !== null) {
      this.#flood = { incident, members: new Set(), counted: incident.count, due: 0 };
      return;
    }
    const held = this.#hold(by.map((group) => incident.group[group] ?? ''));
    held.incident = incident;
    held.since = incident.since;
    this.#pin(held);
    this.#choosePrimary(held, incident.since);
    held.base = this.#total(held) - incident.count;
    held.due = 0;
  }

  /**
   * Gives the incident of many groups back those whose condition still holds, which it stood for before: they are in
   * its numbers already. Call when all are restored.
   */
  rejoin(at: number): void {
    const flood = this.#flood;
    if (flood === null) return;
    for (const parts of this.#groups()) {
      const known = this.held.get(keyOfParts(parts));
      if (known !== undefined && known.incident !== null) continue;
      if (truthOf(this.#rule.tree, parts, at, this.#around, true) !== true) continue;
      const held = known ?? this.#hold(parts);
      held.inFlood = true;
      this.#open(held, at);
      held.base = this.#total(held);
      flood.members.add(held);
    }
  }

  /** Looks at one group, in which something has changed. Call `settle` when all have been looked at. */
  look(parts: readonly string[], at: number): void {
    const known = this.held.get(keyOfParts(parts));
    const truth = truthOf(this.#rule.tree, parts, at, this.#around, false);
    if (known === undefined && truth !== true && !this.#rule.decays) return;
    const held = known ?? this.#hold(parts);
    if (truth !== true) {
      this.#lower(held, truth, at);
      return;
    }
    held.since ??= at;
    const { rule } = this.#rule;
    const isDue = at >= held.since + rule.for;
    if (held.incident === null && !held.inFlood) {
      if (!isDue) this.#begin(held, at);
      else this.#ready.add(held);
    } else if (held.incident?.state === 'pending' && isDue) this.#ready.add(held);
    this.#tellLate(held.incident, held, at);
    this.#schedule(held, at);
  }

  /** Looks at every group, because what has changed is told apart by less than they are. */
  lookAtAll(at: number): void {
    for (const parts of this.#groups()) this.look(parts, at);
  }

  #groups(): string[][] {
    const { leaves, by } = this.#rule;
    const finest = leaves.find(({ parts }) => parts.length === by.length)!;
    return [...finest.series.tallies.keys()].map((key) => key.split('\n'));
  }

  /** Looks at the groups whose time has come. */
  lookAtDue(at: number): void {
    for (const held of this.held.values()) if (held.due <= at) this.look(held.parts, at);
    const flood = this.#flood;
    if (flood === null || flood.due > at) return;
    this.#tellLate(flood.incident, null, at);
    flood.due = this.#dueToTell(flood.incident, at);
  }

  /** When to look at the next one. */
  get due(): number {
    let due = this.#flood?.due ?? Number.POSITIVE_INFINITY;
    for (const held of this.held.values()) if (held.due < due) due = held.due;
    return due;
  }

  /** Fires what is ready, each group by itself or all as one. */
  settle(at: number): void {
    const ready = [...this.#ready];
    this.#ready.clear();
    this.#fired = this.#fired.filter((time) => time > at - FLOOD_SPAN);
    const isFlood = this.#flood !== null || this.#fired.length + ready.length > MOST_SEPARATE;
    if (ready.length > 0 && isFlood && this.#rule.by.length > 0) this.#joinFlood(ready, at);
    else for (const held of ready) this.#fire(held, at);
    const flood = this.#flood;
    if (flood === null || flood.members.size > 0) return;
    this.#resolve(flood.incident, at);
    this.#flood = null;
  }

  /** Brings the numbers of an open incident up to date; answers whether they are others. */
  #count(held: Held, at: number): boolean {
    const { incident } = held;
    if (incident === null) return false;
    const { value, limit } = measure(held.primary, held.parts, at, this.#around);
    const count = this.#since(held);
    if (incident.value === value && incident.count === count) return false;
    Object.assign(incident, { value, threshold: limit, count });
    const findings = tallyOf(held.primary, held.parts)?.findings?.last;
    if (findings !== undefined)
      Object.assign(incident, {
        finding: findings.text,
        value: findings.value,
        threshold: findings.threshold,
      });
    return true;
  }

  /** Numbers of every open incident that has others now. */
  countAll(at: number): void {
    for (const held of this.held.values()) {
      if (this.#count(held, at)) this.#emit('counted', held.incident!, held);
    }
    const flood = this.#flood;
    if (flood === null) return;
    const count = flood.counted + [...flood.members].reduce((sum, held) => sum + this.#since(held), 0);
    if (count === flood.incident.count) return;
    flood.incident.count = count;
    this.#emit('counted', flood.incident, null);
  }

  #lower(held: Held, truth: boolean | null, at: number): void {
    this.#ready.delete(held);
    // Time in which nobody watched does not count as time in which the condition held.
    held.since = null;
    const { incident } = held;
    const isOver = () => truthOf(this.#rule.tree, held.parts, at, this.#around, true) === false;
    if (incident?.state === 'pending') {
      if (truth === false) {
        this.#end(incident, at, held);
        held.incident = null;
      } else held.since = null;
    } else if ((incident !== null || held.inFlood) && isOver()) {
      if (incident !== null) this.#resolve(incident, at, held);
      else this.#leaveFlood(held);
      held.incident = null;
    }
    this.#tellLate(held.incident, held, at);
    const isOpen = held.incident !== null || held.inFlood;
    if (!isOpen) this.#unpin(held);
    const isSilent = this.#rule.leaves.every((leaf) => {
      const tally = tallyOf(leaf, held.parts);
      return tally === undefined || within(tally, at, leaf.window) === 0;
    });
    if (!isOpen && (!this.#rule.decays || (isSilent && held.parts.length > 0))) this.held.delete(held.key);
    else this.#schedule(held, at);
  }

  #begin(held: Held, at: number): void {
    held.incident = newIncident(this.#rule, held.parts, at);
    this.#open(held, at);
    held.incident.since = this.#beganAt(held, at);
    this.#count(held, at);
    this.#emit('pending', held.incident, held);
  }

  #fire(held: Held, at: number): void {
    if (held.incident === null) {
      held.incident = newIncident(this.#rule, held.parts, held.since ?? at);
      this.#open(held, at);
      held.incident.since = this.#beganAt(held, held.incident.since);
    }
    this.#fired.push(at);
    this.#count(held, at);
    this.#report(held.incident, at, held);
    this.#schedule(held, at);
  }

  #joinFlood(ready: readonly Held[], at: number): void {
    const isNew = this.#flood === null;
    this.#flood ??= {
      incident: newIncident(this.#rule, null, at),
      members: new Set(),
      counted: 0,
      due: at + 1,
    };
    const { incident, members } = this.#flood;
    for (const held of ready) {
      if (held.incident !== null) this.#end(held.incident, at, held);
      held.incident = null;
      held.inFlood = true;
      this.#open(held, at);
      members.add(held);
      incident.groups! += 1;
      this.#schedule(held, at);
    }
    if (isNew) {
      incident.count = ready.reduce((sum, held) => sum + this.#since(held), 0);
      this.#report(incident, at, null);
    } else this.#emit('counted', incident, null);
  }

  #leaveFlood(held: Held): void {
    held.inFlood = false;
    if (this.#flood?.members.delete(held)) this.#flood.counted += this.#since(held);
  }

  #emit(kind: Change['kind'], incident: Incident, held: Held | null, tell: Transition | null = null): void {
    const leaf = held?.primary ?? this.#rule.leaves[0]!;
    this.#tellOf({ kind, incident, tell, about: { leaf, parts: held?.parts ?? null } });
  }

  #report(incident: Incident, at: number, held: Held | null): void {
    incident.state = 'firing';
    incident.firedAt = at;
    this.#emit('firing', incident, held, this.#mayTell(incident, at) ? 'firing' : null);
  }

  #mayTell(incident: Incident, at: number): boolean {
    // Else it would keep the next one back from whoever is named by then.
    if (incident.notify.length === 0) return false;
    if (this.#mutedUntil(incident, at) !== null) return false;
    incident.told = true;
    incident.toldTo = recipientsOf(incident, 'firing');
    const { cooldown } = this.#rule.rule;
    if (cooldown > 0) this.#mutes.cooldowns.set(incident.fingerprint, at + cooldown);
    return true;
  }

  /** What still fires when its cool-down or silence is over is told then, unless somebody knows of it. */
  #tellLate(incident: Incident | null, held: Held | null, at: number): void {
    if (incident === null || !isUntold(incident) || incident.firedAt === at) return;
    if (this.#mayTell(incident, at)) this.#emit('counted', incident, held, 'firing');
  }

  #dueToTell(incident: Incident, at: number): number {
    return isUntold(incident) ? (this.#mutedUntil(incident, at) ?? at + 1_000) : Number.POSITIVE_INFINITY;
  }

  #mutedUntil({ rule, fingerprint, agents, group }: Incident, at: number): number | null {
    const concerned = group.agent === undefined ? agents : [group.agent];
    return this.#mutes.until(at, rule, fingerprint, concerned);
  }

  #resolve(incident: Incident, at: number, held: Held | null = null): void {
    if (held !== null) this.#count(held, at);
    incident.state = 'resolved';
    incident.resolvedAt = at;
    this.#emit('resolved', incident, held, incident.told ? 'resolved' : null);
  }

  #end(incident: Incident, at: number, held: Held): void {
    incident.state = 'resolved';
    incident.resolvedAt = at;
    this.#emit('ended', incident, held);
  }

  #schedule(held: Held, at: number): void {
    let due = nextChange(this.#rule, held.parts, at, this.#around);
    const { incident } = held;
    if (held.since !== null && incident?.state === 'pending')
      due = Math.min(due, held.since + this.#rule.rule.for);
    if (incident !== null) due = Math.min(due, this.#dueToTell(incident, at));
    held.due = Math.max(due, at + 1);
  }

  #hold(parts: readonly string[]): Held {
    const key = keyOfParts(parts);
    const held: Held = {
      ...{ key, parts, incident: null, since: null, inFlood: false },
      ...{ due: 0, primary: this.#rule.leaves[0]!, base: 0, pinned: [] },
    };
    this.held.set(key, held);
    return held;
  }

  #pin(held: Held): void {
    if (held.pinned.length > 0) return;
    for (const leaf of this.#rule.leaves) {
      const tally = leaf.series.tally(leafKey(leaf, held.parts));
      tally.pins++;
      held.pinned.push(tally);
    }
  }

  #unpin(held: Held): void {
    for (const tally of held.pinned.splice(0)) tally.pins--;
  }

  /** Rows come a little late: what rises above a number did so at the time of the last one. */
  #beganAt({ primary, parts }: Held, at: number): number {
    const last = tallyOf(primary, parts)?.lastTime ?? at;
    return primary.op.startsWith('>') && last > at - primary.window ? Math.min(at, last) : at;
  }

  #total({ primary, parts }: Held): number {
    return tallyOf(primary, parts)?.total ?? 0;
  }

  #since(held: Held): number {
    return Math.max(0, this.#total(held) - held.base);
  }

  #open(held: Held, at: number): void {
    this.#pin(held);
    this.#choosePrimary(held, at);
    held.base = this.#total(held) - measure(held.primary, held.parts, at, this.#around).value;
  }

  /** The first part that holds. */
  #choosePrimary(held: Held, at: number): void {
    const holding = this.#rule.leaves.find((leaf) => holds(leaf, held.parts, at, this.#around));
    held.primary = holding ?? this.#rule.leaves[0]!;
  }
}

/** Whether there is somebody to tell who does not know of it. */
function isUntold({ state, told, notify, acknowledged }: Incident): boolean {
  return state === 'firing' && !told && notify.length > 0 && acknowledged === null;
}
