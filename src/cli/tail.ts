/** `clawctl egress tail`: events as they are committed, of every gateway that shares the store. */
import { systemClock } from '../base/clock.ts';
import { pathsOf } from '../base/paths.ts';
import { openQueries } from '../events/queries.ts';
import { eventItem, eventLine } from './eventline.ts';
import { jsonText, print, say } from './output.ts';

const POLL_MILLISECONDS = 200;
const BATCH = 1_000;

interface Options {
  agent?: string;
  json?: boolean;
}

/** Until interrupted, or until nobody reads any more. */
export async function tail({ agent, json }: Options): Promise<void> {
  const queries = openQueries(pathsOf().store);
  let last = queries.lastSequence();
  let stop = false;
  const wake = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      stop = true;
      wake.resolve();
    });
  if (json !== true) say('following; Ctrl-C ends it');
  while (!stop) {
    const events = queries.tail(last, BATCH);
    for (const event of events) {
      last = event.sequence;
      if (agent !== undefined && event.agent !== agent) continue;
      print(json === true ? jsonText(eventItem(event)) : eventLine(event, systemClock.now()));
    }
    // A store that was replaced begins again at one.
    if (events.length === 0 && queries.lastSequence() < last) last = 0;
    if (events.length < BATCH) await Promise.race([Bun.sleep(POLL_MILLISECONDS), wake.promise]);
  }
  queries.close();
}
