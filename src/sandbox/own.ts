/** Where clawctl's own files lie: configuration, policies, state. Whoever could change them commands the fence. */
import { dirname } from 'node:path';
import type { Paths } from '../base/paths.ts';
import { isWithin, wayTo, withoutRepeats } from './folders.ts';
import type { Place } from './workspace.ts';

export interface OwnPlaces {
  /** The files and folders, by every real path that leads to them. Never shown. */
  places: Place[];
  /** Symbolic links on the way to them: exchanging one would exchange what it leads to. */
  links: string[];
}

/** `everywhere`: the path, and others of the same file. */
export function ownPlaces(
  { paths, policyFiles }: { paths: Paths; policyFiles: readonly string[] },
  everywhere: (path: string) => string[],
): OwnPlaces {
  const named: Place[] = [
    { path: paths.config, name: "clawctl's configuration" },
    { path: dirname(paths.machinePolicy), name: "the machine's policy" },
    { path: paths.state, name: "clawctl's state" },
    { path: paths.runtime, name: "clawctl's runtime folder" },
    { path: paths.store, name: "clawctl's store" },
    { path: paths.kill, name: 'the kill switch' },
    ...[paths.policy, paths.machinePolicy, ...policyFiles].map((path) => ({ path, name: 'the policy' })),
  ];
  const ways = named.map(({ path, name }) => ({ ...wayTo(path), name }));
  const real = ways.flatMap(({ end, name }) => everywhere(end).map((path) => ({ path, name })));
  return {
    places: real.filter(({ path }, index) => real.findIndex((other) => isWithin(path, other.path)) === index),
    links: withoutRepeats(ways.flatMap(({ links }) => links.flatMap(everywhere))),
  };
}
