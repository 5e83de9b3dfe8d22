/** What every command says of messages that wait. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { incidentOf } from '../alerts/channels/incident.fixture.ts';
import { createOutbox } from '../alerts/delivery/outbox.ts';
import { openAlertStore } from '../alerts/store.ts';
import { systemClock } from '../base/clock.ts';
import { type Paths, pathsOf } from '../base/paths.ts';
import { deliverWaiting, waitingMessages } from './waiting.ts';

let home: string;
let paths: Paths;
let other: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'clawctl-waiting-'));
  paths = pathsOf({}, home);
  other = join(home, 'other.yaml');
  mkdirSync(dirname(paths.policy), { recursive: true });
  for (const file of [paths.policy, other]) writeFileSync(file, 'version: 1\nallow: [a.test]\n');
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

test("what lacks a channel is said of the own policy's messages alone, and where those of another wait", async () => {
  const db = openAlertStore(paths.alerts);
  const outbox = createOutbox(db, systemClock);
  outbox.put(incidentOf({ id: 'a' }), 'firing', [
    { lane: 'mine', source: paths.policy },
    { lane: 'theirs', source: other },
  ]);
  const lacks = (lane: string) =>
    `1 message about alerts cannot be delivered to ${lane} yet: no channel is named '${lane}'; see: clawctl egress alerts check`;
  expect(await waitingMessages(paths)).toEqual([lacks('mine')]);
  expect(await waitingMessages(paths, other)).toEqual([lacks('theirs')]);
  db.run('UPDATE delivery SET made = made - 60000');
  expect(await waitingMessages(paths)).toEqual([
    lacks('mine'),
    `1 message about alerts waits for the channels of ${other}; see: clawctl egress alerts deliver --policy ${other}`,
  ]);
  await deliverWaiting(paths);
  expect(db.query('SELECT max(attempts) FROM delivery').values()).toEqual([[0]]);
  db.close();
});
