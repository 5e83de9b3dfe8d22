/**
 * What conditions count, of one row or of one total. One such object serves for all rows: a hundred thousand
 * of them a second are not worth a new one each.
 */
import { OTHER_HOSTS } from '../../events/distinct.ts';
import { UNREAD_HOST } from '../../events/event.ts';
import { registrableDomain } from '../../names/suffix.ts';
import type { Metric } from '../../policy/alerts/condition.ts';
import type { Reason } from '../../policy/reason.ts';

/** `requests`: allowed or not. `findings`: what a detector found. */
export type Measure = Metric | 'requests' | 'findings';

/** A host, once for all rows that name it: what follows from the name is found out once. */
class Place {
  #domain: string | null = null;
  #parents: readonly string[] | null = null;

  constructor(readonly host: string) {}

  get domain(): string {
    this.#domain ??= domainOf(this.host);
    return this.#domain;
  }

  get parents(): readonly string[] {
    this.#parents ??= parentsOf(this.host);
    return this.#parents;
  }
}

const MOST_PLACES = 20_000;
const places = new Map<string, Place>();

function placeOf(host: string): Place {
  let place = places.get(host);
  if (place === undefined) {
    if (places.size >= MOST_PLACES) places.clear();
    place = new Place(host);
    places.set(host, place);
  }
  return place;
}

/** Of all facts there are: series remember by it what they counted last. */
let turns = 0;

export class Fact {
  time = 0;
  agent = '';
  reason: Reason | null = null;
  /** The policy's rule that decided. */
  rule: string | null = null;
  /** Which fact this is, to count it once where several ways lead to the same series. */
  turn = 0;

  #place: Place | null = null;

  /** Starts another fact. */
  set(time: number, agent: string, host: string | null, reason: Reason | null, rule: string | null): this {
    this.time = time;
    this.agent = agent;
    this.#place = host === null ? null : placeOf(host);
    this.reason = reason;
    this.rule = rule;
    return this.again();
  }

  /** The same once more, to be counted again. */
  again(): this {
    this.turn = ++turns;
    return this;
  }

  /** In parentheses where it stands for many; null for what concerns no host. */
  get host(): string | null {
    return this.#place?.host ?? null;
  }

  /** The registrable domain of the host; the host itself where it has none. */
  get domain(): string | null {
    return this.#place?.domain ?? null;
  }

  /** The names that the host is below, nearest first; a folded host is all below its domain. */
  get parents(): readonly string[] {
    return this.#place?.parents ?? [];
  }
}

function domainOf(host: string): string {
  if (host === OTHER_HOSTS || host === UNREAD_HOST || host.includes(':') || /^[\d.]+$/.test(host))
    return host;
  const name = host.startsWith('(') ? host.slice(1, -1) : host;
  return registrableDomain(name) ?? name;
}

function parentsOf(host: string): string[] {
  const isFolded = host.startsWith('(');
  const name = isFolded ? host.slice(1, -1) : host;
  const parents = isFolded ? [name] : [];
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1))
    parents.push(name.slice(dot + 1));
  return parents;
}
