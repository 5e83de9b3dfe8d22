/** All rules together: each thing that any of them counts once, and the ways to it. */
import type { Filter, Group } from '../../policy/alerts/condition.ts';
import { matcherOf } from '../../policy/alerts/match.ts';
import type { SharedRule } from '../recipient.ts';
import { type CompiledRule, compileRule, type Leaf } from './condition.ts';
import type { Fact, Measure } from './fact.ts';
import { Routes } from './routes.ts';
import { Series } from './series.ts';

export interface Use {
  rule: CompiledRule;
  leaf: Leaf;
}

export interface Rulebook {
  rules: readonly CompiledRule[];
  series: readonly Series[];
  /** Which parts of which rules look at a series. */
  uses: ReadonlyMap<Series, readonly Use[]>;
  /** Where what is counted goes, by what it is; nothing where no rule asks for it. */
  routes: Partial<Record<Measure, Routes>>;
  /** The series of each detector's findings. */
  findings: ReadonlyMap<string, readonly { series: Series; matches: (fact: Fact) => boolean }[]>;
}

export function createRulebook(rules: readonly SharedRule[]): Rulebook {
  const series = new Map<string, Series>();
  const uses = new Map<Series, Use[]>();
  const routes: Rulebook['routes'] = {};
  const findings = new Map<string, { series: Series; matches: (fact: Fact) => boolean }[]>();

  const seriesOf = (
    measure: Measure,
    where: readonly Filter[],
    by: readonly Group[],
    detector: string | null,
  ): Series => {
    const key = JSON.stringify([measure, where, by, detector]);
    const known = series.get(key);
    if (known !== undefined) return known;
    const made = new Series(measure, where, by, detector);
    series.set(key, made);
    if (detector === null) {
      routes[measure] ??= new Routes();
      routes[measure].add(made);
    } else {
      const of = findings.get(detector) ?? [];
      of.push({ series: made, matches: matcherOf(where) });
      findings.set(detector, of);
    }
    return made;
  };

  const compiled = rules.map((rule) => compileRule(rule, seriesOf));
  for (const rule of compiled) {
    for (const leaf of rule.leaves) {
      const of = uses.get(leaf.series) ?? [];
      of.push({ rule, leaf });
      uses.set(leaf.series, of);
    }
  }
  return { rules: compiled, series: [...series.values()], uses, routes, findings };
}
