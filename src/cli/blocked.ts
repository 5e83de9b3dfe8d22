/** `clawctl egress blocked`: what was refused, most often first, and what to type next. */
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { pathsOf } from '../base/paths.ts';
import { loadPolicy } from '../config/load.ts';
import { isFolded } from '../events/distinct.ts';
import { UNREAD_HOST } from '../events/event.ts';
import { type Blocked, openQueries } from '../events/queries.ts';
import { additionFor, explanationFor, suggestionFor } from '../gateway/refusal.ts';
import { classOf } from '../names/addressclass.ts';
import { displayName } from '../names/display.ts';
import { type Host, isSpecialName, parseHost } from '../names/host.ts';
import type { LookalikeIndex } from '../names/lookalike.ts';
import { allowedNames } from '../policy/allowednames.ts';
import { imitationOf } from './imitation.ts';
import { iso, number, onTerminal, printJson, printTable, say, sayRaw, when, yellow } from './output.ts';
import { filterOf, type SpanOptions, spanText } from './timespan.ts';

/** More than anybody reads on a terminal, which a flood would fill. */
const MOST_ROWS = 100;

export async function blocked(options: SpanOptions & { json?: boolean }): Promise<void> {
  const now = systemClock.now();
  const paths = pathsOf();
  const filter = filterOf(options, now);
  const queries = openQueries(paths.store);
  const found = queries.blocked(filter);
  queries.close();
  const allowed = found.length === 0 ? null : namesAllowedNow(paths);
  const items = found.map((item) => ({ ...item, note: noteOn(item, allowed) }));
  if (options.json === true) {
    const shown = items.map((item) => ({ ...item, first: iso(item.first), last: iso(item.last) }));
    printJson('blocked', { since: iso(filter.since), items: shown });
    return;
  }
  if (items.length === 0) {
    const whose = options.agent === undefined ? '' : ` of ${options.agent}`;
    say(`nothing${whose} was blocked ${spanText(options)}.`);
    sayRaw('  Look further back with --last 7d, or follow what happens with: clawctl egress tail\n');
    return;
  }
  const header = ['host', 'port', 'agent', 'reason', 'count', 'first', 'last', 'note'];
  const rows = items.map(({ host, port, agent, reason, count, first, last, note }) => [
    displayName(host),
    { text: String(port), right: true },
    agent,
    reason,
    number(count),
    when(first, now),
    when(last, now),
    { text: note ?? '', paint: yellow },
  ]);
  const shown = onTerminal ? rows.slice(0, MOST_ROWS) : rows;
  printTable(header, shown);
  if (shown.length < rows.length)
    sayRaw(
      `… and ${number(rows.length - shown.length).text} more; all of them: clawctl egress blocked | less\n`,
    );
  adviseOn(items);
}

/** Says what to type, for the first refusal that a rule would change, or the first that names a host. */
function adviseOn(items: readonly Blocked[]): void {
  const named = items.flatMap((item) => {
    const host = parseHost(item.host);
    return host === null
      ? []
      : [{ ...item, host, change: additionFor(host, item.port, item.reason, item.agent) }];
  });
  const chosen = named.find(({ change }) => change !== null) ?? named[0];
  if (chosen === undefined) return;
  const { host, port, agent, reason, change } = chosen;
  sayRaw(change === null ? '\n' : `\nTo allow one:   ${change}\n`);
  const instead = suggestionFor(host, port, reason, agent);
  const why = change === null ? instead : explanationFor(host, port, agent);
  sayRaw(`To see why:     ${why}\n`);
}

/** Null while the policy is broken, which others tell. */
function namesAllowedNow(paths: ReturnType<typeof pathsOf>): LookalikeIndex | null {
  try {
    return allowedNames(loadPolicy({ paths }).policy);
  } catch (error) {
    if (error instanceof Failure) return null;
    throw error;
  }
}

function noteOn({ host: text }: Blocked, allowed: LookalikeIndex | null): string | null {
  if (text === UNREAD_HOST) return 'what was asked for could not be read';
  const host = isFolded(text) ? null : parseHost(text);
  if (host === null) return isFolded(text) ? 'many hosts, counted together' : null;
  return imitationOf(host, allowed) ?? placeOf(host);
}

function placeOf(host: Host): string | null {
  if (host.kind === 'name') return isSpecialName(host.name) ? 'a name of this machine or its network' : null;
  const addressClass = classOf(host.address);
  return addressClass === 'public' ? null : `${addressClass} address`;
}
