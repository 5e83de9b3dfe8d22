/** `clawctl egress stats`: how much, where to, and what was new among the refusals. */
import { systemClock } from '../base/clock.ts';
import { pathsOf } from '../base/paths.ts';
import { openQueries, type Stats, type Tally } from '../events/queries.ts';
import { displayName } from '../names/display.ts';
import { killItem, killsFor, sayKills } from './kill.ts';
import {
  bold,
  iso,
  number,
  onTerminal,
  print,
  printJson,
  printTable,
  say,
  sayRaw,
  size,
  sparkline,
} from './output.ts';
import { filterOf, type SpanOptions, spanText } from './timespan.ts';

const MOST_NEW = 10;

type Options = SpanOptions & { by?: 'host' | 'agent'; json?: boolean };

export function stats(options: Options): void {
  const filter = filterOf(options, systemClock.now());
  const paths = pathsOf();
  const queries = openQueries(paths.store);
  const found = queries.stats({ ...filter, by: options.by });
  queries.close();
  if (options.json === true)
    printJson('stats', {
      ...asDocument(found, filter.since, options),
      killed: killsFor(paths).map(killItem),
    });
  else if (found.requests === 0 && found.bytesUp + found.bytesDown === 0) {
    say(`nothing was recorded ${spanText(options)}.`);
    sayRaw('  Run something inside the fence: clawctl egress run -- COMMAND\n');
  } else if (options.by !== undefined) printGroups(found, options.by);
  else printFigures(found);
  if (options.json !== true) sayKills(paths, options.agent);
}

const tallyItem = ({ requests, allowed, blocked, failed, bytesUp, bytesDown }: Tally) => ({
  requests,
  allowed,
  blocked,
  failed,
  bytes_up: bytesUp,
  bytes_down: bytesDown,
});

function asDocument(found: Stats, since: number, { by }: Options): object {
  return {
    since: iso(since),
    ...tallyItem(found),
    hosts: found.hosts,
    blocked_hosts: found.blockedHosts,
    agents: found.agents,
    new_blocked_hosts: found.newBlockedHosts,
    top_hosts: found.topHosts.map((each) => ({ host: each.host, ...tallyItem(each) })),
    top_blocked: found.topBlocked.map((each) => ({ host: each.host, ...tallyItem(each) })),
    series: found.spark,
    ...(by === undefined
      ? {}
      : { items: found.groups.map((each) => ({ [by]: each.name, ...tallyItem(each) })) }),
  };
}

function printGroups({ groups }: Stats, by: string): void {
  const header = [by, 'requests', 'allowed', 'blocked', 'failed', 'up', 'down'];
  printTable(
    header,
    groups.map((group) => [displayName(group.name), ...columnsOf(group)]),
  );
}

const columnsOf = ({ requests, allowed, blocked, failed, bytesUp, bytesDown }: Tally) => [
  ...[requests, allowed, blocked, failed].map(number),
  { text: size(bytesUp), right: true },
  { text: size(bytesDown), right: true },
];

function printFigures(found: Stats): void {
  const figures: [string, string][] = [
    ['requests', number(found.requests).text],
    ['allowed', number(found.allowed).text],
    ['blocked', number(found.blocked).text],
    ['failed', number(found.failed).text],
    ['bytes up', size(found.bytesUp)],
    ['bytes down', size(found.bytesDown)],
    ['hosts', number(found.hosts).text],
    ['blocked hosts', number(found.blockedHosts).text],
    ['agents', number(found.agents).text],
  ];
  for (const [name, value] of figures) print(onTerminal ? `${name.padEnd(14)}${value}` : `${name}\t${value}`);
  if (!onTerminal) return;
  print(`${'over time'.padEnd(14)}${sparkline(found.spark.map((each) => each.requests))}`);
  if (found.blocked > 0)
    print(`${'  blocked'.padEnd(14)}${sparkline(found.spark.map((each) => each.blocked))}`);
  const hosts = (
    title: string,
    list: readonly (Tally & { host: string })[],
    count: (tally: Tally) => number,
  ) => {
    if (list.length === 0) return;
    print(`\n${bold(title)}`);
    for (const each of list) print(`${number(count(each)).text.padStart(8)}  ${displayName(each.host)}`);
  };
  hosts('Most requests', found.topHosts, (tally) => tally.requests);
  hosts('Most blocked', found.topBlocked, (tally) => tally.blocked);
  const fresh = found.newBlockedHosts;
  if (fresh.length === 0) return;
  print(`\n${bold('Blocked for the first time')}`);
  for (const host of fresh.slice(0, MOST_NEW)) print(`          ${displayName(host)}`);
  if (fresh.length > MOST_NEW) print(`          and ${fresh.length - MOST_NEW} more`);
}
