/** `clawctl egress alerts ack`: somebody takes an incident on; whoever was told of it is told that, too. */
import { acknowledge } from '../../alerts/acts.ts';
import { systemClock } from '../../base/clock.ts';
import { EXIT, Failure } from '../../base/failure.ts';
import { iso, printJson, say } from '../output.ts';
import { openDesk, personName } from './desk.ts';
import { incidentJson } from './items.ts';

const PATIENCE = 5_000;

export async function ack(id: string, options: { json?: boolean }): Promise<number> {
  const desk = openDesk();
  try {
    const by = personName();
    const done = acknowledge(desk.db, desk.outbox, id, by, systemClock.now());
    if (done.state === 'unknown')
      throw new Failure(
        'not-found',
        done.matches > 1
          ? `More than one open incident begins with '${id}'.`
          : `There is no incident '${id}'.`,
        'See: clawctl egress alerts list',
      );
    const { incident } = done;
    if (done.state === 'done') await desk.deliver(PATIENCE);
    if (options.json === true) printJson('alerts-ack', incidentJson(incident));
    else if (done.state === 'done') say(`${incident.rule} (${incident.id}) is taken on by ${by}.`);
    else {
      const { by, time } = incident.acknowledged!;
      say(`${incident.rule} (${incident.id}) was taken on already, by ${by} at ${iso(time)}.`);
    }
    return EXIT.done;
  } finally {
    desk.close();
  }
}
