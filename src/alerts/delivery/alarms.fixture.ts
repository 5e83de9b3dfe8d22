/** A program of its own, to be killed: makes so many incidents, one after another, and delivers them meanwhile. */
import { systemClock } from '../../base/clock.ts';
import { incidentOf } from '../channels/incident.fixture.ts';
import { openAlertStore } from '../store.ts';
import { createDeliveries } from './delivery.ts';
import { createOutbox } from './outbox.ts';

const { path, channel, count } = JSON.parse(process.argv[2]!);
const db = openAlertStore(path);
const outbox = createOutbox(db, systemClock);
const deliveries = createDeliveries({ outbox, channels: () => new Map([[channel.name, channel]]) });
const made = () => (db.query('SELECT count(*) AS made FROM incident').get() as { made: number }).made;
const add = db.transaction((number: number) => {
  const incident = incidentOf({ id: `i${number}` });
  db.query(
    "INSERT INTO incident (id, fingerprint, rule, state, since, body) VALUES (?, 'f', 'r', 'firing', 0, '{}')",
  ).run(incident.id);
  outbox.put(incident, 'firing', [channel.name]);
});
deliveries.start();
while (made() < count) {
  add.immediate(made());
  deliveries.wake();
  if (Math.random() < 0.2) await Bun.sleep(1);
}
while (outbox.lanes().length > 0) await deliveries.drain(1_000);
await deliveries.close();
process.exit(0);
