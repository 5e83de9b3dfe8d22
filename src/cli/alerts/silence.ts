/** `clawctl egress alerts silence`: no messages for a while. Alerts fire and are recorded all the same. */
import { aboutText, endSilences, silence as silenceIn } from '../../alerts/acts.ts';
import { systemClock } from '../../base/clock.ts';
import { EXIT, Failure } from '../../base/failure.ts';
import { isAgentName } from '../../policy/agentname.ts';
import { iso, printJson, say } from '../output.ts';
import { durationOf } from '../timespan.ts';
import { alertNamed, openDesk, personName } from './desk.ts';

const LONGEST = 30 * 86_400_000;

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
  const desk = openDesk();
  try {
    const rule = name === undefined ? null : alertNamed(desk.policy, name).name;
    const agent = options.agent ?? null;
    const what = aboutText(rule, agent);
    const now = systemClock.now();
    const by = personName();
    if (options.end === true) {
      const ended = endSilences(desk.db, { rule, agent, by }, now);
      if (options.json === true) printJson('alerts-silence', { alert: rule, agent, ended });
      else say(ended > 0 ? `${what} is heard again.` : `${what} was not silenced.`);
      return ended > 0 ? EXIT.done : EXIT.failed;
    }
    if (options.for === undefined) throw new Failure('usage', 'For how long?', 'Such as --for 2h.');
    const reason = (options.reason ?? '').trim().slice(0, 300);
    const until = now + Math.min(durationOf(options.for), LONGEST);
    const id = silenceIn(desk.db, { rule, agent, until, reason, by }, now);
    if (options.json === true)
      printJson('alerts-silence', { id, alert: rule, agent, since: iso(now), until: iso(until), reason, by });
    else say(`${what} is silent until ${iso(until)}; it still fires and is recorded.`);
    return EXIT.done;
  } finally {
    desk.close();
  }
}
