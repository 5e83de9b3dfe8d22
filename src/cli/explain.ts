/** `clawctl egress explain`: why, hop by hop, and the smallest change that would flip the answer. */
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { type Paths, pathsOf } from '../base/paths.ts';
import { killText } from '../config/killswitch.ts';
import { loadPolicy } from '../config/load.ts';
import { openQueries } from '../events/queries.ts';
import type { StoredEvent } from '../events/row.ts';
import { suggestionFor } from '../gateway/refusal.ts';
import { displayName, printable } from '../names/display.ts';
import { authority, hostText, parseHost } from '../names/host.ts';
import { allowedNames } from '../policy/allowednames.ts';
import type { Change } from '../policy/change.ts';
import { ruleText } from '../policy/decide.ts';
import type { Target } from '../policy/decision.ts';
import { type Explanation, explain as explainTarget } from '../policy/explain.ts';
import type { Reason } from '../policy/reason.ts';
import { ruleItem, situation } from './answers.ts';
import { policyOf } from './check.ts';
import { eventItem, eventLine } from './eventline.ts';
import { sayExposed } from './exposed.ts';
import { imitationOf } from './imitation.ts';
import { killsFor, resumeCommand } from './kill.ts';
import { bold, dim, green, print, printJson, red, yellow } from './output.ts';
import { differenceFrom, isBesideRules, recordedSentence } from './recorded.ts';
import { suggestedFor } from './suggestion.ts';
import { DEFAULT_PORT, parseTarget } from './target.ts';

interface Options {
  agent: string;
  policy?: string;
  json?: boolean;
}

export async function explain(text: string, options: Options): Promise<void> {
  const paths = pathsOf();
  const event = /^#?\d+$/.test(text) ? findEvent(paths.store, text) : null;
  const target = event === null ? targetOf(text, options.agent) : targetOfEvent(event);
  const { policy, files } = loadPolicy(policyOf(options, paths));
  sayExposed(files);
  const beginning =
    options.policy !== undefined || files.includes(paths.policy) ? null : beginningBelow(files);
  const found = target === null ? null : explainTarget(policy, target, situation(paths, target.agent));
  const differs = event === null || found === null ? null : differenceFrom(event, found);
  const explanation =
    found === null || target === null
      ? null
      : {
          ...found,
          change:
            (found.reason === 'killed' ? resumption(paths, target.agent) : null) ??
            completed(found.change, beginning, options.policy),
        };
  const doubtful = explanation !== null && explanation.verdict !== 'allow';
  const imitates = target !== null && doubtful ? imitationOf(target.host, allowedNames(policy)) : null;
  if (options.json === true)
    printJson('explain', { ...asDocument(event, target, explanation), differs, note: imitates });
  else {
    if (event !== null) printRecorded(event, differs);
    if (explanation === null || target === null) return;
    printExplanation(target, explanation, imitates);
    printWayOut(target, explanation, event);
  }
}

function printRecorded(event: StoredEvent, differs: string | null): void {
  print(`Recorded: ${eventLine(event, systemClock.now())}`);
  const sentence = recordedSentence(event);
  if (sentence !== null) print(`${printable(sentence)}${differs === null ? '' : ` ${yellow(differs)}`}`);
  print('');
}

function printWayOut(target: Target, { verdict, change }: Explanation, event: StoredEvent | null): void {
  if (event === null || !isBesideRules(event)) {
    print(`\n${verdict === 'allow' ? 'To refuse it' : 'To allow it'}: ${printable(change.text)}`);
    return;
  }
  const { reason } = event as { reason: Reason };
  const suggestion = suggestionFor(target.host, target.port, reason, target.agent);
  if (!suggestion.includes(' explain ')) print(`\nTo see more: ${printable(suggestion)}`);
}

/** How to begin the own file, which is not there. `files`: those that are. */
function beginningBelow(files: readonly string[]): string {
  return files.length === 0
    ? 'There is none yet: begin it with presets: [default], or nothing else is allowed any more.'
    : 'There is none yet: begin it with version: 1.';
}

/** What ends the stop, and whose it is; null where it has just ended. Of one file, `resume` without a name ends all. */
function resumption(paths: Paths, agent: string): Change | null {
  const kills = killsFor(paths, agent);
  if (kills.length === 0) return null;
  const ending = kills.filter(
    (kill) => kill.agent === null || !kills.some((each) => each.agent === null && each.file === kill.file),
  );
  const command = ending.map((kill) => resumeCommand(kill, paths)).join(' && ');
  return { command, edit: null, text: `${command}. Now ${kills.map(killText).join('; ')}` };
}

/** The change as it can be made: in the policy that was given, and where there is no file yet (`beginning`). */
function completed(change: Change, beginning: string | null, policyFile: string | undefined): Change {
  if (beginning !== null && change.edit !== null && change.edit.line === 0)
    return { ...change, text: `${change.text} ${beginning}` };
  if (change.command === null) return change;
  const command = suggestedFor(policyFile, change.command);
  return { ...change, command, text: command };
}

function targetOf(text: string, agent: string): Target {
  const { host, port } = parseTarget(text);
  return { host, port: port ?? DEFAULT_PORT, agent };
}

function findEvent(store: string, text: string): StoredEvent {
  const queries = openQueries(store);
  const event = queries.event(Number(text.replace('#', '')));
  queries.close();
  if (event === null)
    throw new Failure(
      'not-found',
      `There is no event ${text}.`,
      'Events are numbered in: clawctl egress tail',
    );
  return event;
}

/** Null for an event that is not about a connection. */
function targetOfEvent(event: StoredEvent): Target | null {
  if (event.kind === 'notice' || event.kind === 'question') return null;
  const host = parseHost(event.host);
  return host === null ? null : { host, port: event.port, agent: event.agent };
}

function asDocument(
  event: StoredEvent | null,
  target: Target | null,
  explanation: Explanation | null,
): object {
  const asked =
    target === null ? {} : { host: hostText(target.host), port: target.port, agent: target.agent };
  if (explanation === null) return { event: event === null ? null : eventItem(event) };
  const { verdict, reason, rule, hops, nearMisses, change } = explanation;
  return {
    event: event === null ? null : eventItem(event),
    ...asked,
    verdict,
    reason,
    rule: ruleItem(rule),
    hops,
    near_misses: nearMisses.map(({ rule, why }) => ({ rule: ruleItem(rule), why })),
    change,
  };
}

function printExplanation(
  target: Target,
  { verdict, reason, rule, hops, nearMisses }: Explanation,
  imitates: string | null,
): void {
  const word = verdict === 'allow' ? green('✓ allowed') : red('✗ denied');
  const place = authority(target.host, target.port);
  const shown = displayName(hostText(target.host));
  const unicode = shown.includes(' (') ? ` ${shown.slice(shown.indexOf(' (') + 1)}` : '';
  const where = rule === null ? '' : `, ${ruleText(rule)}`;
  print(`${word}  ${bold(place)}${unicode} for ${printable(target.agent)}  (${reason}${where})\n`);
  for (const { number, name, text } of hops) print(`  ${number} ${name.padEnd(7)} ${printable(text)}`);
  if (nearMisses.length > 0) print(`\n${yellow('Near misses')}`);
  for (const { rule, why } of nearMisses)
    print(`  ${rule.host} ${dim(`(${ruleText(rule)})`)}: ${printable(why)}`);
  if (imitates !== null) print(`\n${yellow('Look twice')}: it ${imitates}`);
}
