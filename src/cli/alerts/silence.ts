/** `clawctl egress alerts silence`: no messages for a while. Alerts fire and are recorded all the same. */
import { aboutText, alertNames, endSilences, silence as silenceIn } from '../../alerts/acts.ts';
import { systemClock } from '../../base/clock.ts';
import { EXIT, Failure } from '../../base/failure.ts';
import { isAgentName } from '../../policy/agentname.ts';
import { alertsOf } from '../../policy/policy.ts';
import { iso, printJson, say } from '../output.ts';
import { durationOf } from '../timespan.ts';
import { openDesk, personName, pick } from './desk.ts';

const LONGEST = 30 * 86_400_000;
const LONGEST_REASON = 300;

interface Options {
  for?: string;
  agent?: string;
  reason?: string;
  all?: boolean;
  end?: boolean;
  json?: boolean;
}

export async function silence(name: string | undefined, options: Options): Promise<number> {
  if ((name === undefined) !== (options.all === true))
    throw new Failure('usage', 'Which alert is to be silent?', 'Give the name of one, or --all.');
  if (options.agent !== undefined && !isAgentName(options.agent))
    throw new Failure('usage', 'That is not the name of an agent.');
  const length = options.end === true ? endless(options) : lengthOf(options);
  const reason = (options.reason ?? '').trim().slice(0, LONGEST_REASON);
  const desk = openDesk();
  try {
    const own = alertsOf(desk.policy).map((alert) => alert.name);
    const rule = name === undefined ? null : pick('alert', name, [...own, ...alertNames(desk.db)]);
    const agent = options.agent ?? null;
    const what = aboutText(rule, agent);
    const now = systemClock.now();
    const by = personName();
    if (length === null) {
      const ended = endSilences(desk.db, { rule, agent, by }, now);
      if (options.json === true) printJson('alerts-silence', { alert: rule, agent, ended });
      else say(ended > 0 ? `${what} is heard again.` : `${what} was not silenced.`);
      return ended > 0 ? EXIT.done : EXIT.failed;
    }
    const until = now + length;
    const id = silenceIn(desk.db, { rule, agent, until, reason, by }, now);
    if (options.json === true)
      printJson('alerts-silence', { id, alert: rule, agent, since: iso(now), until: iso(until), reason, by });
    else say(`${what} is silent until ${iso(until)}; it still fires and is recorded.`);
    return EXIT.done;
  } finally {
    desk.close();
  }
}

/** Milliseconds. What is kept from people is kept from them for a reason, and not for ever. */
function lengthOf({ for: text, reason = '' }: Options): number {
  if (text === undefined) throw new Failure('usage', 'For how long?', 'Such as --for 2h.');
  const length = durationOf(text);
  if (length > LONGEST)
    throw new Failure('usage', 'A silence lasts for at most 30d.', 'Silence it again when it is over.');
  if (reason.trim() === '')
    throw new Failure('usage', 'Why?', 'Say it for the record, such as --reason "load test".');
  return length;
}

function endless(options: Options): null {
  if (options.for === undefined) return null;
  throw new Failure('usage', 'A silence that is to end now has no --for.', 'Give one of --for and --end.');
}
