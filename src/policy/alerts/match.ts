/** Whether a row is one that a condition counts. Prepared once, then asked for every row. */
import { parseHost } from '../../names/host.ts';
import { parseRange, type Range, rangeContains } from '../../names/range.ts';
import type { Reason } from '../reason.ts';
import type { Filter } from './condition.ts';

/** `host` is canonical, or in parentheses where it stands for many (`(example.com)`, `(other)`). */
export interface Counted {
  agent: string;
  host: string | null;
  reason: Reason | null;
}

/** Whether every filter holds; no filters hold for everything. */
export function matcherOf(filters: readonly Filter[]): (row: Counted) => boolean {
  const tests = filters.map(testOf);
  return (row) => tests.every((test) => test(row));
}

function testOf({ field, test, values }: Filter): (row: Counted) => boolean {
  const set = new Set<string>(values);
  if (field === 'agent') return ({ agent }) => set.has(agent);
  if (field === 'reason') return ({ reason }) => reason !== null && set.has(reason);
  const matches = field === 'host' && test === 'equals' ? exactly(set) : hostMatcher(field, values);
  return ({ host }) => host !== null && matches(host);
}

const exactly = (hosts: ReadonlySet<string>) => (host: string) => hosts.has(host);

/** Whether a host matches one of the patterns, read as those of `host matches` or of `domain matches`. */
export function hostMatcher(
  field: 'host' | 'domain',
  patterns: readonly string[],
): (host: string) => boolean {
  const names = new Set<string>();
  const above = new Set<string>();
  const ranges: Range[] = [];
  for (const pattern of patterns) {
    const range = parseRange(pattern);
    if (range !== null) ranges.push(range);
    else if (pattern.startsWith('*.')) above.add(pattern.slice(2));
    else {
      names.add(pattern);
      if (field === 'domain') above.add(pattern);
    }
  }
  return (host) => {
    // A folded host is all below its domain, though none of them by name.
    if (host.startsWith('(')) return hasAbove(`.${host.slice(1, -1)}`);
    return names.has(host) || hasAbove(host) || (ranges.length > 0 && inRange(host));
  };

  function hasAbove(host: string): boolean {
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1))
      if (above.has(host.slice(dot + 1))) return true;
    return false;
  }

  function inRange(text: string): boolean {
    const host = parseHost(text);
    return host?.kind === 'address' && ranges.some((range) => rangeContains(range, host.address));
  }
}
