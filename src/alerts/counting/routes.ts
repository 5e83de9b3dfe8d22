/**
 * From a fact to the series that count it, without asking those that cannot: each series is found under what its
 * filters name, so that a fact costs the same beside ten rules about other hosts and agents as beside ten thousand.
 */
import type { Filter } from '../../policy/alerts/condition.ts';
import { type Counted, matcherOf } from '../../policy/alerts/match.ts';
import type { Fact } from './fact.ts';
import type { Series } from './series.ts';

interface Way {
  series: Series;
  /** The filters under which it is not found. */
  rest: ((fact: Counted) => boolean) | null;
}

type Index = Map<string, Way[]>;

export class Routes {
  readonly #all: Way[] = [];
  readonly #byAgent: Index = new Map();
  readonly #byReason: Index = new Map();
  readonly #byHost: Index = new Map();
  /** By a name that the host is below. */
  readonly #byParent: Index = new Map();
  /** With ranges of addresses. */
  readonly #byAddress: Way[] = [];

  add(series: Series): void {
    const { where } = series;
    const chosen = BEST.map((field) => where.find((filter) => filter.field === field)).find(Boolean);
    if (chosen === undefined) {
      this.#all.push({ series, rest: null });
      return;
    }
    const others = where.filter((filter) => filter !== chosen);
    const way: Way = { series, rest: others.length === 0 ? null : matcherOf(others) };
    if (chosen.field === 'agent') for (const name of chosen.values) put(this.#byAgent, name, way);
    else if (chosen.field === 'reason') for (const name of chosen.values) put(this.#byReason, name, way);
    else this.#addHosts(chosen, way, where);
  }

  #addHosts(filter: Filter, way: Way, where: readonly Filter[]): void {
    const above = filter.field === 'domain';
    const isPattern = above || filter.test === 'matches';
    for (const value of filter.values) {
      if (isPattern && value.startsWith('*.')) put(this.#byParent, value.slice(2), way);
      else if (isPattern && (value.includes('/') || isAddress(value))) {
        this.#byAddress.push({ series: way.series, rest: matcherOf(where) });
      } else {
        put(this.#byHost, value, way);
        if (above) put(this.#byParent, value, way);
      }
    }
  }

  /** Calls `visit` once for each series that counts the fact. */
  find(fact: Fact, visit: (series: Series) => void): void {
    const { host } = fact;
    if (this.#all.length > 0) visitAll(this.#all, fact, visit);
    if (this.#byAgent.size > 0) visitAll(this.#byAgent.get(fact.agent), fact, visit);
    if (this.#byReason.size > 0 && fact.reason !== null)
      visitAll(this.#byReason.get(fact.reason), fact, visit);
    if (host === null) return;
    if (this.#byHost.size > 0) visitAll(this.#byHost.get(host), fact, visit);
    if (this.#byParent.size > 0)
      for (const parent of fact.parents) visitAll(this.#byParent.get(parent), fact, visit);
    if (this.#byAddress.length > 0 && isAddress(host)) visitAll(this.#byAddress, fact, visit);
  }
}

/** Under which of several filters a series is found: what leads to it most directly. */
const BEST = ['agent', 'host', 'domain', 'reason'] as const;

function visitAll(ways: readonly Way[] | undefined, fact: Fact, visit: (series: Series) => void): void {
  if (ways === undefined) return;
  for (const { series, rest } of ways) {
    if (series.turn === fact.turn || (rest !== null && !rest(fact))) continue;
    series.turn = fact.turn;
    visit(series);
  }
}

function put(index: Index, key: string, way: Way): void {
  const ways = index.get(key);
  if (ways === undefined) index.set(key, [way]);
  else ways.push(way);
}

function isAddress(host: string): boolean {
  return host.includes(':') || /^[\d.]+$/.test(host);
}
