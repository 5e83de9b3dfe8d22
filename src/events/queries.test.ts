import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { allowed, closed, denied, newStore, passing } from './event.fixture.ts';
import { openQueries } from './queries.ts';
import { openRecorder } from './recorder.ts';

const recent = () => ({ since: Date.now() - 60_000, until: Date.now() + 60_000 });

test('questions work before there is a store, and see it when it comes', async () => {
  const store = newStore();
  const queries = openQueries(store);
  expect(queries.blocked(recent())).toEqual([]);
  expect(queries.stats(recent())).toMatchObject({ requests: 0, topHosts: [], groups: [] });
  expect([queries.lastUse(Date.now()), queries.tail(0, 10)]).toEqual([[], []]);
  expect([queries.event(1), queries.lastSequence()]).toEqual([null, 0]);
  const recorder = openRecorder({ store });
  await recorder.decide(allowed({ agent: 'a' }));
  await recorder.decide(denied({ agent: 'b' }));
  await recorder.flush();
  expect(queries.event(2)).toMatchObject({ kind: 'decision', agent: 'b', verdict: 'deny' });
  expect(queries.lastUse(Date.now())).toMatchObject([{ agent: 'a', host: 'api.example.com', count: 1 }]);
  expect(queries.blocked({ ...recent(), agent: 'a' })).toEqual([]);
  expect(queries.blocked({ ...recent(), agent: 'b' })).toHaveLength(1);
  const { groups, requests, spark } = queries.stats({ ...recent(), by: 'agent' });
  expect(groups.map(({ name }) => name).sort()).toEqual(['a', 'b']);
  expect(spark.reduce((sum, bar) => sum + bar.requests, 0)).toBe(requests);
  await recorder.close();
});

test('a host that was blocked before is not new', async () => {
  const store = newStore();
  const recorder = openRecorder({ store });
  const now = Date.now();
  await recorder.decide(denied({ host: 'old.example', time: now - 7_200_000 }));
  await recorder.decide(denied({ host: 'old.example', time: now, agent: 'other' }));
  await recorder.decide(denied({ host: 'new.example', time: now }));
  await recorder.close();
  const queries = openQueries(store);
  expect(queries.stats(recent()).newBlockedHosts).toEqual(['new.example']);
  expect(queries.stats({ ...recent(), agent: 'other' }).newBlockedHosts).toEqual(['old.example']);
});

test('what goes on is in no total before it has closed, and no host is thought used by it', async () => {
  const store = newStore();
  const recorder = openRecorder({ store });
  recorder.note(passing({ bytesUp: 7 }));
  const queries = openQueries(store);
  await recorder.flush();
  expect([queries.lastSequence(), queries.lastUse(Date.now())]).toEqual([1, []]);
  expect(queries.stats(recent())).toMatchObject({ requests: 0, bytesUp: 0, hosts: 0 });
  recorder.note(closed({ bytesUp: 9 }));
  await recorder.close();
  expect(queries.stats(recent())).toMatchObject({ bytesUp: 9 });
});

test('every kind of event comes back as it was recorded', async () => {
  const store = newStore();
  const recorder = openRecorder({ store });
  const time = Date.now();
  const common = { time, agent: 'claude', session: 's' };
  const place = { connection: 3, host: 'api.example.com', port: 443 };
  const closing = {
    outcome: 'reset',
    reason: 'policy-changed',
    bytesUp: 1,
    bytesDown: 2,
    duration: 3,
  } as const;
  const events = [
    { ...common, kind: 'refusal', ...place, reason: 'address-refused', detail: 'private' },
    { ...common, kind: 'progress', ...place, bytesUp: 1, bytesDown: 1, duration: 2 },
    { ...common, kind: 'close', ...place, ...closing },
    { ...common, kind: 'question', host: 'api.example.com', type: 'AAAA', count: 1 },
    { ...common, kind: 'notice', topic: 'policy-edited', text: 'added api.example.com' },
  ] as const;
  for (const event of events) recorder.note(event);
  await recorder.close();
  const stored = openQueries(store).tail(0, 10);
  expect(stored).toEqual(events.map((event, n) => ({ ...event, sequence: n + 1, count: 1 })));
});

test('what was counted in minutes that are gone is answered from the hours', async () => {
  const store = newStore();
  const recorder = openRecorder({ store });
  const HOUR = 3_600_000;
  const now = Date.now();
  // In the middle of an hour, three days ago; and minutes that are still there, two days ago.
  const since = now - (now % HOUR) - 72 * HOUR + 20 * 60_000;
  for (let n = 0; n < 100; n++) await recorder.decide(denied({ time: since + 60_000, connection: n }));
  await recorder.decide(allowed({ time: now - 48 * HOUR }));
  await recorder.close();
  const queries = openQueries(store);
  const filter = { since, until: now + 1_000 };
  const figures = () => [queries.stats(filter).blocked, queries.blocked(filter)[0]?.count];
  expect(figures()).toEqual([100, 100]);
  new Database(store).run('DELETE FROM total WHERE span = 60000 AND start < ?', [now - 60 * HOUR]);
  expect(figures()).toEqual([100, 100]);
  new Database(store).run('DELETE FROM total WHERE span = 60000');
  expect(figures()).toEqual([100, 100]);
});
