/** Delivering, lane by lane, over the death of whoever delivers. */
import type { Database } from 'bun:sqlite';
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import type { ChannelConfig } from '../../policy/alerts/channel.ts';
import { incidentOf } from '../channels/incident.fixture.ts';
import { openReceiver, type Receiver } from '../channels/receiver.fixture.ts';
import { openAlertStore } from '../store.ts';
import { createDeliveries, type Deliveries } from './delivery.ts';
import { createOutbox, type Outbox } from './outbox.ts';

let folder: string;
let db: Database;
let outbox: Outbox;
const receivers: Receiver[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'clawctl-delivery-'));
  db = openAlertStore(join(folder, 'alerts.db'));
  outbox = createOutbox(db, systemClock);
  writeFileSync(join(folder, 'secret'), 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
});
afterEach(() => {
  for (const receiver of receivers.splice(0)) receiver.close();
  db.close();
  rmSync(folder, { recursive: true });
});

function hook(name: string, answer?: Parameters<typeof openReceiver>[0]): [ChannelConfig, Receiver] {
  const receiver = openReceiver(answer);
  receivers.push(receiver);
  const secret = { file: join(folder, 'secret') };
  return [
    { type: 'webhook', name, url: receiver.url, secret, addresses: ['127.0.0.0/8'], ca: null },
    receiver,
  ];
}

const channelsOf = (...channels: ChannelConfig[]) =>
  new Map(channels.map((channel) => [channel.name, channel]));

async function within(milliseconds: number, holds: () => boolean): Promise<boolean> {
  for (const end = performance.now() + milliseconds; performance.now() < end; await Bun.sleep(5))
    if (holds()) return true;
  return holds();
}

async function delivering(deliveries: Deliveries, act: () => Promise<void>): Promise<void> {
  deliveries.start();
  try {
    await act();
  } finally {
    await deliveries.close();
  }
}

test('a receiver that hangs or fails delays nobody else', async () => {
  const [stuck] = hook('stuck', () => 'hang');
  const [broken] = hook('broken', () => '500 Oops');
  const [cut] = hook('cut', () => 'cut');
  const [fine, seen] = hook('fine');
  const channels = channelsOf(stuck, broken, cut, fine);
  for (let n = 0; n < 20; n++)
    outbox.put(incidentOf({ id: `i${n}` }), 'firing', ['stuck', 'broken', 'cut', 'fine']);
  await delivering(createDeliveries({ outbox, channels: () => channels }), async () => {
    expect(await within(2_000, () => !outbox.lanes().includes('fine'))).toBe(true);
  });
  expect(seen.received).toHaveLength(20);
  expect(outbox.lanes().sort()).toEqual(['broken', 'cut', 'stuck']);
});

test('a receiver that comes back gets everything, in order for each incident, under the same keys', async () => {
  const [flaky, seen] = hook('flaky', (count) => (count % 3 === 0 ? '500 Oops' : '200 OK'));
  for (const transition of ['firing', 'resolved'] as const)
    for (const id of ['a', 'b']) outbox.put(incidentOf({ id }), transition, ['flaky']);
  await delivering(
    createDeliveries({
      outbox,
      channels: () => channelsOf(flaky),
    }),
    async () => {
      expect(await within(8_000, () => outbox.lanes().length === 0)).toBe(true);
    },
  );
  const taken = seen.received.filter((_, index) => index % 3 !== 0).map(({ body }) => JSON.parse(body));
  expect(taken).toHaveLength(4);
  for (const id of ['a', 'b'])
    expect(taken.filter(({ data }) => data.incident === id).map(({ type }) => type)).toEqual([
      'alert.firing',
      'alert.resolved',
    ]);
  const failed = seen.received[0]!;
  expect(taken.map((each) => each.id)).toContain(JSON.parse(failed.body).id);
  expect(failed.headers['webhook-id']).toBe(JSON.parse(failed.body).id);
});

test('what has no channel waits for one', async () => {
  const [hooked, seen] = hook('oncall');
  let channels = channelsOf();
  outbox.put(incidentOf(), 'firing', ['oncall']);
  const deliveries = createDeliveries({ outbox, channels: () => channels });
  await delivering(deliveries, async () => {
    await deliveries.drain(300);
    expect(outbox.lanes()).toEqual(['oncall']);
    channels = channelsOf(hooked);
    deliveries.reconsider();
    expect(await within(2_000, () => outbox.lanes().length === 0)).toBe(true);
  });
  expect(seen.received).toHaveLength(1);
});

test('whoever ends delivers what can be, for a while, and no longer', async () => {
  const [stuck] = hook('stuck', () => 'hang');
  const [fine, seen] = hook('fine');
  outbox.put(incidentOf(), 'firing', ['stuck', 'fine', 'nobody']);
  const deliveries = createDeliveries({ outbox, channels: () => channelsOf(stuck, fine) });
  const began = performance.now();
  await deliveries.drain(500);
  expect(performance.now() - began).toBeLessThan(1_500);
  expect(seen.received).toHaveLength(1);
  expect(outbox.lanes().sort()).toEqual(['nobody', 'stuck']);
  await deliveries.close();
});

test('killed at any moment, none of 1,000 is lost, and none comes without its key', async () => {
  const COUNT = 1_000;
  const [busy, seen] = hook('busy', (count) => (count % 97 === 0 ? 'cut' : '200 OK'));
  const job = JSON.stringify({ path: join(folder, 'alerts.db'), channel: busy, count: COUNT });
  const killed: number[] = [];
  for (let done = false; !done; ) {
    const child = Bun.spawn([process.execPath, 'run', resolve(import.meta.dir, 'alarms.fixture.ts'), job], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const patience = killed.length < 15 ? 150 + Math.random() * 300 : 30_000;
    const timer = setTimeout(() => child.kill('SIGKILL'), patience);
    await child.exited;
    clearTimeout(timer);
    if (child.signalCode === 'SIGKILL') killed.push(patience);
    else done = true;
  }
  const keys = seen.received.map(({ headers, body }) => [headers['webhook-id'], JSON.parse(body).id]);
  for (const [header, id] of keys) expect(header).toBe(id);
  const incidents = new Map(
    seen.received.map(({ body }) => [JSON.parse(body).data.incident, JSON.parse(body).id]),
  );
  expect(incidents.size).toBe(COUNT);
  expect(new Set(keys.map(([key]) => key)).size).toBe(COUNT);
  expect(killed.length).toBeGreaterThan(3);
}, 60_000);
