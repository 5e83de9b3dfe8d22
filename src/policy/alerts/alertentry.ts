/** One alert as it stands in a file. */
import { isScalar, type Node } from 'yaml';
import { parseDuration } from '../../base/duration.ts';
import type { Source } from '../decision.ts';
import type { Entry, Reading } from '../reading.ts';
import { type AlertRule, SEVERITIES } from './alertrule.ts';
import type { Condition } from './condition.ts';
import { DEFAULT_ALERTS, DEFAULT_COOLDOWN } from './defaults.ts';
import { isMailAddress } from './mail.ts';
import { parseCondition } from './parse.ts';

type DocumentAlert = AlertRule & { enabled: boolean };

const KEYS = ['name', 'condition', 'severity', 'notify', 'cooldown', 'for', 'enabled'];
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const MOST_ALERTS = 10_000;
const MOST_TOLD = 50;
const LONGEST_COOLDOWN = 30 * 86_400_000;
const LONGEST_FOR = 86_400_000;

/** The list under `alerts`. */
export function readAlerts(reading: Reading, entry: Entry): DocumentAlert[] {
  const nodes = reading.list(entry, 'alerts: [{ name: …, condition: …, notify: … }]');
  if (nodes.length > MOST_ALERTS) reading.problem(entry.key, `there are at most ${MOST_ALERTS} alerts`);
  const alerts = new Map<string, DocumentAlert>();
  for (const node of nodes.slice(0, MOST_ALERTS)) {
    const alert = readAlert(reading, node);
    if (alert === null) continue;
    if (alerts.has(alert.name))
      reading.problem(node, `there is another alert '${alert.name}'`, 'Give each a name of its own.');
    alerts.set(alert.name, alert);
  }
  return [...alerts.values()];
}

function readAlert(reading: Reading, node: Node): DocumentAlert | null {
  const entries = reading.map(node, 'an alert', KEYS);
  const name = readName(reading, node, entries.get('name'));
  if (name === null) return null;
  const shipped = DEFAULT_ALERTS.find((alert) => alert.name === name);
  const condition = readCondition(reading, node, entries.get('condition'), shipped);
  const value = <T>(key: string, read: (entry: Entry) => T | null, otherwise: T): T => {
    const found = entries.get(key);
    return (found === undefined ? null : read(found)) ?? otherwise;
  };
  const duration = (key: string, most: number, otherwise: number) =>
    value(key, ({ node }) => readDuration(reading, node, key, most), otherwise);
  const source: Source = { kind: 'file', file: reading.file, ...reading.position(node) };
  const severity = ({ node }: Entry) => reading.choice(node, 'severity', SEVERITIES);
  const enabled = ({ node }: Entry) => reading.boolean(node, 'enabled');
  if (condition === null) return null;
  return {
    name,
    ...condition,
    severity: value('severity', severity, shipped?.severity ?? 'medium'),
    notify: value('notify', (entry) => readNotify(reading, entry), []),
    cooldown: duration('cooldown', LONGEST_COOLDOWN, shipped?.cooldown ?? DEFAULT_COOLDOWN),
    for: duration('for', LONGEST_FOR, 0),
    enabled: value('enabled', enabled, true),
    source,
  };
}

function readName(reading: Reading, node: Node, entry: Entry | undefined): string | null {
  if (entry === undefined) return reading.problem(node, 'an alert without a name', 'Add name: my_alert');
  const name = reading.text(entry.node, 'the name of an alert');
  if (name === null || NAME.test(name)) return name;
  const rule = 'It has 1 to 64 letters, digits and . _ - and begins with a letter or digit.';
  return reading.problem(entry.node, `'${name}' is not the name of an alert`, rule);
}

/** An alert that ships with the program brings its own condition. */
function readCondition(
  reading: Reading,
  node: Node,
  entry: Entry | undefined,
  shipped: AlertRule | undefined,
): { condition: Condition; text: string } | null {
  if (entry === undefined) {
    if (shipped !== undefined) return { condition: shipped.condition, text: shipped.text };
    return reading.problem(
      node,
      'an alert without a condition',
      'Add condition: blocked_requests > 100 in 5 minutes',
    );
  }
  const text = reading.prose(entry.node, 'a condition');
  if (text === null) return null;
  const parsed = parseCondition(text);
  if (parsed.ok) return { condition: parsed.condition, text: text.trim() };
  const { at, message, fix } = parsed.problem;
  return reading.problemWithin(entry.node, at, message, fix);
}

/** One address or channel, or a list of them. Whether a channel is configured is not asked here. */
function readNotify(reading: Reading, entry: Entry): string[] | null {
  const nodes = isScalar(entry.node) ? [entry.node] : reading.list(entry, 'notify: [oncall]');
  if (nodes.length > MOST_TOLD) return reading.problem(entry.node, `an alert tells at most ${MOST_TOLD}`);
  const names = nodes.map((node) => readRecipient(reading, node));
  return names.includes(null) ? null : [...new Set(names as string[])];
}

function readRecipient(reading: Reading, node: Node): string | null {
  const text = reading.text(node, 'whom an alert tells');
  if (text === null || isMailAddress(text) || isChannelName(text)) return text;
  return reading.problem(
    node,
    `'${text}' is neither an e-mail address nor the name of a channel`,
    /^(https?|slack|mailto):/i.test(text)
      ? 'Configure it under channels: and name the channel here.'
      : 'Such as security@example.com, or oncall where channels: has an oncall.',
  );
}

/** Channel names and e-mail addresses are told apart by the @. */
export function isChannelName(text: string): boolean {
  return NAME.test(text);
}

function readDuration(reading: Reading, node: Node, key: string, most: number): number | null {
  const text = reading.raw(node, key);
  if (text === null) return null;
  const duration = text === '0' ? 0 : parseDuration(text);
  if (duration !== null && duration <= most) return duration;
  const days = most / 86_400_000;
  return reading.problem(
    node,
    `${key} is a duration of at most ${days === 1 ? '1 day' : `${days} days`}`,
    'Write it as 90s, 15m or 2h.',
  );
}
