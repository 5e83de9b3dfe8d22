/**
 * What one alert says, before any channel writes it in its own way. Every piece is either words, which are ours or the
 * policy's, or `foreign`, which somebody else chose: a host, an agent. A channel escapes words and shows what is
 * foreign as text or code; neither can become a link, a mention or markup (see names/defanged.ts).
 */
import { formatDuration } from '../../base/duration.ts';
import { defanged } from '../../names/defanged.ts';
import { printable } from '../../names/display.ts';
import { REASONS, type Reason } from '../../policy/reason.ts';
import type { Incident, Transition } from '../incident.ts';
import { type Command, commandsFor } from './commands.ts';

/** What waits to be delivered. */
export interface Notification {
  /** The same for every attempt: receivers know by it what they have had already. */
  key: string;
  transition: Transition;
  /** Wall time of the transition, milliseconds. */
  time: number;
  /** As it was then. */
  incident: Incident;
}

export type Piece = { words: string } | { foreign: string };

export interface Message {
  /** One line. */
  subject: readonly Piece[];
  /** What happened, in a sentence or two. */
  summary: readonly Piece[];
  facts: readonly { label: string; value: readonly Piece[] }[];
  hosts: readonly { host: string; count: number; why: string }[];
  commands: readonly Command[];
}

/** Characters of any one thing that somebody else chose. */
const LONGEST = 300;

const words = (text: string): Piece => ({ words: printable(text) });
const foreign = (text: string): Piece => ({ foreign: defanged(text.slice(0, LONGEST)) });

export function messageOf({ transition, time, incident }: Notification): Message {
  const { rule, severity, count, since, resolvedAt, acknowledged, test } = incident;
  const mark = test ? 'TEST, nothing has happened: ' : '';
  const who = agentsOf(incident);
  const facts: { label: string; value: readonly Piece[] }[] = [
    { label: 'Alert', value: [words(`${rule} (${severity})`)] },
    { label: 'Condition', value: [words(incident.condition)] },
    { label: incident.agents.length > 1 ? 'Agents' : 'Agent', value: who },
    { label: 'Since', value: [words(momentText(since, time))] },
    { label: 'How often', value: [words(howOften(incident))] },
    {
      label: 'Deciding rule',
      value: [words(incident.decidingRule ?? 'none: what no rule allows is refused')],
    },
  ];
  if (transition === 'resolved' && resolvedAt !== null)
    facts.push({ label: 'Resolved', value: [words(momentText(resolvedAt, time))] });
  if (acknowledged !== null)
    facts.push({
      label: 'Taken on',
      value: [words('by '), foreign(acknowledged.by), words(`, ${momentText(acknowledged.time, time)}`)],
    });
  facts.push({ label: 'Incident', value: [words(incident.id)] });
  return {
    subject: [
      words(`${mark}[${transition === 'firing' ? severity : transition}] ${rule}: `),
      words(`${count} in all, agent `),
      ...who,
    ],
    summary: [words(mark), ...sentence(incident, transition, who)],
    facts,
    hosts: incident.hosts.map(({ host, count, reason }) => ({
      host: defanged(host.slice(0, LONGEST)),
      count,
      why: reasonText(reason),
    })),
    commands: commandsFor(incident, transition),
  };
}

function sentence(incident: Incident, transition: Transition, who: readonly Piece[]): Piece[] {
  const { rule, condition, severity, finding, resolvedBy } = incident;
  if (transition === 'resolved') {
    const why =
      resolvedBy === 'rule-removed' ? 'the alert was taken out of the policy' : 'it no longer holds';
    return [words(`${rule} is over for `), ...who, words(`: ${why}.`)];
  }
  if (transition === 'acknowledged')
    return [words(`Somebody has taken ${rule} on, for `), ...who, words('. Nothing else has changed.')];
  const value = incident.value === null ? '' : ` It is ${numberText(incident.value)} now.`;
  return [
    words(`${rule} (${severity}) holds for `),
    ...who,
    words(`: ${condition}.${value}`),
    ...(finding === null ? [] : [words(' '), foreign(finding)]),
  ];
}

/** Who is concerned, as far as it is known. */
function agentsOf({ agents, group }: Incident): Piece[] {
  const names = agents.length > 0 ? agents : group.agent === undefined ? [] : [group.agent];
  if (names.length === 0) return [words('not known')];
  const shown = names
    .slice(0, 5)
    .flatMap((name, index) => [...(index > 0 ? [words(', ')] : []), foreign(name)]);
  return names.length > 5 ? [...shown, words(` and ${names.length - 5} more`)] : shown;
}

function howOften({ count, value, threshold, groups }: Incident): string {
  const many = groups === null ? '' : ` in ${numberText(groups)} groups that are told together`;
  const times = `${numberText(count)} ${count === 1 ? 'time' : 'times'}${many}`;
  if (value === null || threshold === null) return times;
  return `${times}; ${numberText(value)} where ${numberText(threshold)} is the limit`;
}

function reasonText(reason: string | null): string {
  if (reason === null) return '';
  return Object.hasOwn(REASONS, reason) ? `${reason}: ${REASONS[reason as Reason]}` : printable(reason);
}

export const numberText = (value: number) =>
  Number.isInteger(value)
    ? value.toLocaleString('en-US')
    : value.toLocaleString('en-US', { maximumFractionDigits: 2 });

/** `2026-01-31T08:00:00.000Z (4m before this was written)`. */
function momentText(moment: number, now: number): string {
  const past = now - moment;
  const ago = past >= 1_000 ? ` (${formatDuration(past)} before this)` : '';
  return `${new Date(moment).toISOString()}${ago}`;
}

/** The pieces as plain text. */
export const plain = (pieces: readonly Piece[]): string =>
  pieces.map((piece) => ('words' in piece ? piece.words : piece.foreign)).join('');
