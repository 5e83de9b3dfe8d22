/** What is usual for an agent, a host or a domain at this hour of the week, from the store's totals by the hour. */
import { matcherOf } from '../../policy/alerts/match.ts';
import type { Leaf } from './condition.ts';
import { Fact } from './fact.ts';
import { factOf, type History, measureOf } from './history.ts';

const HOUR = 3_600_000;
const WEEK = 168 * HOUR;
/** As many weeks back as the store remembers hours. */
const WEEKS = 4;
const MOST_CACHED = 10_000;

/**
 * Answers how much such a window holds on average in the same hours of the weeks before; weeks before the first in
 * which there was anything do not count. Each hour is looked up once for all groups.
 */
export function createUsual(history: History): (leaf: Leaf, key: string, at: number) => number {
  const fact = new Fact();
  const cache = new Map<string, Map<string, number[]>>();
  const numbers = new Map<Leaf['series'], number>();
  let hour = 0;

  const weeksOf = ({ series, window }: Leaf, at: number): Map<string, number[]> => {
    const hours = Math.ceil(window / HOUR);
    const end = Math.floor(at / HOUR) * HOUR + HOUR;
    const matches = matcherOf(series.where);
    const sums = new Map<string, number[]>();
    for (let week = 1; week <= WEEKS; week++) {
      const to = end - week * WEEK;
      history.totals(HOUR, to - hours * HOUR, to, (past) => {
        factOf(fact, past);
        const count = measureOf(past, series.measure);
        if (count === 0 || !matches(fact)) return;
        const key = series.keyOf(fact);
        if (key === null) return;
        let weeks = sums.get(key);
        if (weeks === undefined) {
          if (sums.size >= MOST_CACHED) return;
          weeks = new Array(WEEKS).fill(0);
          sums.set(key, weeks);
        }
        weeks[week - 1]! += (count * window) / (hours * HOUR);
      });
    }
    return sums;
  };

  return (leaf, key, at) => {
    const now = Math.floor(at / HOUR);
    if (now !== hour) {
      cache.clear();
      hour = now;
    }
    if (!numbers.has(leaf.series)) numbers.set(leaf.series, numbers.size);
    const name = `${numbers.get(leaf.series)} ${leaf.window}`;
    let sums = cache.get(name);
    if (sums === undefined) {
      sums = weeksOf(leaf, at);
      cache.set(name, sums);
    }
    const weeks = sums.get(key) ?? [];
    const first = weeks.findLastIndex((sum) => sum > 0);
    return first < 0 ? 0 : weeks.slice(0, first + 1).reduce((sum, each) => sum + each, 0) / (first + 1);
  };
}
