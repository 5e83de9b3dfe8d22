/**
 * A notification of the desktop, by notify-send, where this runs in a session that has one. The body of a notification
 * knows markup (Desktop Notifications Specification, "Markup"), so what is shown in it is escaped.
 */
import { statSync } from 'node:fs';
import type { Severity } from '../../policy/alerts/alertrule.ts';
import { runCommand } from './command.ts';
import { type Message, plain } from './message.ts';
import { escaped } from './page.ts';
import { type Sent, unconfigured } from './sent.ts';
import { DESKTOP_VARIABLES, variablesNamed } from './variables.ts';

const PROGRAM = '/usr/bin/notify-send';
const URGENCIES: Readonly<Record<Severity, string>> = {
  critical: 'critical',
  high: 'critical',
  medium: 'normal',
  low: 'low',
  info: 'low',
};

/** What is missing for it, or null. */
export function noDesktop(): string | null {
  if (statSync(PROGRAM, { throwIfNoEntry: false }) === undefined) return `${PROGRAM} is not installed`;
  const isSession = DESKTOP_VARIABLES.some((name) => (process.env[name] ?? '') !== '');
  return isSession ? null : 'this does not run in a desktop session';
}

export async function showOnDesktop(
  message: Message,
  severity: Severity,
  signal: AbortSignal,
): Promise<Sent> {
  const missing = noDesktop();
  if (missing !== null) return unconfigured(missing);
  return runCommand({
    command: desktopCommand(message, severity),
    input: '',
    environment: variablesNamed(DESKTOP_VARIABLES),
    signal,
  });
}

export function desktopCommand(message: Message, severity: Severity): [string, ...string[]] {
  const body = escaped(`${plain(message.summary)}\n${message.commands[0]?.line ?? ''}`);
  // Behind `--` nothing is an option, whatever it begins with.
  return [
    PROGRAM,
    '--app-name=Clawctl Egress',
    `--urgency=${URGENCIES[severity]}`,
    '--',
    plain(message.subject),
    body,
  ];
}
