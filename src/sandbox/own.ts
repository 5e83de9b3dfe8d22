/** Where clawctl's own files lie: configuration, policies, state. Whoever could change them commands the fence. */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure } from '../base/failure.ts';
import type { Paths } from '../base/paths.ts';
import { channelSecrets } from './channelsecrets.ts';
import { isWithin, wayTo, withoutRepeats } from './folders.ts';
import type { Place } from './workspace.ts';

export interface OwnPlaces {
  /** The files and folders, by every real path that leads to them. Never shown. */
  places: Place[];
  /** Symbolic links on the way to them: exchanging one would exchange what it leads to. */
  links: string[];
}

/** `everywhere`: the path, and others of the same file. Throws Failure for a policy with more names than can be known. */
export function ownPlaces(
  { paths, policyFiles }: { paths: Paths; policyFiles: readonly string[] },
  everywhere: (path: string) => string[],
): OwnPlaces {
  const policies = withoutRepeats([paths.policy, paths.machinePolicy, ...policyFiles]);
  const named: Place[] = [
    { path: paths.config, name: "clawctl's configuration" },
    { path: dirname(paths.machinePolicy), name: "the machine's policy" },
    { path: paths.state, name: "clawctl's state" },
    { path: paths.runtime, name: "clawctl's runtime folder" },
    { path: paths.store, name: "clawctl's store" },
    { path: paths.kill, name: 'the kill switch' },
    ...policies.map((path) => ({ path, name: 'the policy' })),
    ...channelSecrets(policyFiles).files.map((path) => ({
      path,
      name: "a secret or program of the alerts' channels",
    })),
  ];
  for (const path of policies) refuseHardLinks(path);
  const ways = named.map(({ path, name }) => ({ ...wayTo(path), name }));
  const real = ways.flatMap(({ end, name }) => everywhere(end).map((path) => ({ path, name })));
  return {
    places: real.filter(({ path }, index) => real.findIndex((other) => isWithin(path, other.path)) === index),
    links: withoutRepeats(ways.flatMap(({ links }) => links.flatMap(everywhere))),
  };
}

/** The second name may lie in the working directory: what is written there would be the policy. */
function refuseHardLinks(policy: string): void {
  const found = statSync(policy, { throwIfNoEntry: false });
  if (found === undefined || found.nlink < 2 || !isWritable(policy)) return;
  throw new Failure(
    'run-refused',
    `The policy ${policy} has another name somewhere (a hard link), by which a command might change it.`,
    'Make it a file of its own: cp -p FILE FILE.new && mv FILE.new FILE',
  );
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
