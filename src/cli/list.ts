/** `clawctl egress list`: every rule, what it is used for, and what is doubtful about it. */
import { systemClock } from '../base/clock.ts';
import { pathsOf } from '../base/paths.ts';
import { writableByOthers } from '../config/exposure.ts';
import { loadPolicy } from '../config/load.ts';
import { openQueries } from '../events/queries.ts';
import { displayName } from '../names/display.ts';
import { ruleText } from '../policy/decide.ts';
import type { Rule } from '../policy/decision.ts';
import { lint } from '../policy/lint.ts';
import { lintService } from '../policy/lintservice.ts';
import { modeOf, rulesOf } from '../policy/policy.ts';
import { optionsText } from '../policy/ruleoptions.ts';
import { ruleItem } from './answers.ts';
import { policyOf } from './check.ts';
import { sayExposed } from './exposed.ts';
import { killItem, killsFor, sayKills } from './kill.ts';
import {
  type Cell,
  dim,
  green,
  iso,
  number,
  onTerminal,
  printJson,
  printTable,
  red,
  say,
  when,
} from './output.ts';
import { type Use, usesOf } from './uses.ts';

interface Options {
  policy?: string;
  json?: boolean;
}

interface Line {
  rule: Rule;
  use: Use;
  warnings: string[];
}

export async function list(options: Options): Promise<void> {
  const paths = pathsOf();
  const now = systemClock.now();
  const { policy, documents, files } = loadPolicy(policyOf(options, paths));
  const queries = openQueries(paths.store);
  const uses = usesOf([...rulesOf(policy)], queries.lastUse(now));
  queries.close();
  const warnings = new Map<string, string[]>();
  for (const { rule, message, fix } of documents.flatMap((each) => lint(each, now))) {
    const place = placeOf(rule);
    warnings.set(place, [...(warnings.get(place) ?? []), `${message}. ${fix}`]);
  }
  const lines = [...uses].map(
    ([rule, use]): Line => ({ rule, use, warnings: warnings.get(placeOf(rule)) ?? [] }),
  );
  const observes = modeOf(policy) === 'observe';
  if (options.json === true) {
    const items = lines.map(itemOf);
    printJson('list', {
      mode: modeOf(policy),
      otherwise: observes ? 'observe' : 'deny',
      killed: killsFor(paths).map(killItem),
      warnings: [...writableByOthers(files), ...documents.flatMap(lintService)],
      items,
    });
    return;
  }
  printLines(lines, observes, now);
  for (const { rule, warnings } of lines)
    for (const warning of warnings) say(`${displayName(rule.host)} (${ruleText(rule)}): ${warning}`);
  for (const { message, fix } of documents.flatMap(lintService)) say(`${message}. ${fix}`);
  sayExposed(files);
  if (observes)
    say('NOT ENFORCED: the policy only observes; what no rule allows is let through and recorded');
  sayKills(paths);
}

const placeOf = ({ host, source }: Rule) =>
  source.kind === 'file' ? `${source.file}:${source.line}:${source.column}` : `${source.preset} ${host}`;

function itemOf({ rule, use, warnings }: Line): object {
  const { host, ports, action, agents, note, addresses, tls, upgrade, bytesUpPerDay, force, until } = rule;
  return {
    host,
    ports,
    action,
    agents,
    until: until === null ? null : iso(until),
    note,
    source: (ruleItem(rule) as { source: object }).source,
    addresses,
    tls,
    upgrade,
    bytes_up_per_day: bytesUpPerDay,
    force,
    last_used: use.last === null ? null : iso(use.last),
    uses_24h: use.count,
    warnings,
  };
}

function printLines(lines: readonly Line[], observes: boolean, now: number): void {
  const header = ['host', '', 'ports', 'agents', 'until', 'last used', 'in 24h', 'source', 'note', 'options'];
  const allowed: Cell = { text: '✓ Allowed', paint: green };
  const blocked: Cell = { text: '✗ Blocked', paint: red };
  const expired: Cell = { text: '· Expired', paint: dim };
  const rows = lines.map(({ rule, use, warnings }): (string | Cell)[] => {
    const { host, action, ports, agents, until, note } = rule;
    const isOver = until !== null && until <= now;
    return [
      displayName(host) + (warnings.length > 0 && onTerminal ? ' !' : ''),
      isOver ? expired : action === 'allow' ? allowed : blocked,
      ports.length === 0 ? 'all' : ports.join(','),
      agents.length === 0 ? '' : agents.join(','),
      when(until, now),
      when(use.last, now),
      action === 'allow' ? number(use.count) : '',
      ruleText(rule),
      note ?? '',
      optionsText(rule),
    ];
  });
  const rest: Cell = observes ? { text: '! NOT ENFORCED', paint: red } : blocked;
  rows.push(['* (everything else)', rest, '', '', '', '', '', '', '', '']);
  printTable(header, rows);
}
