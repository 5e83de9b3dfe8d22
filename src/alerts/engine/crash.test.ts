import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { dirname, join } from 'node:path';
import type { Subprocess } from 'bun';
import { denied, newStore } from '../../events/event.fixture.ts';
import { openQueries } from '../../events/queries.ts';
import { rowOf } from '../../events/row.ts';
import { verifyStore } from '../../events/verify.ts';
import { createWriter } from '../../events/writer.ts';

const PROGRAM = join(import.meta.dir, 'evaluator.fixture.ts');

interface Evaluator {
  child: Subprocess<'ignore', 'pipe', 'inherit'>;
  /** Resolves when it says so next. */
  says(text: string): Promise<void>;
}

function start(store: string, alerts: number): Evaluator {
  const child = Bun.spawn([process.execPath, '--no-install', PROGRAM, store, String(alerts)], {
    ...{ stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' },
  });
  const said: string[] = [];
  let heard = () => {};
  (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) {
      said.push(...decoder.decode(bytes).trim().split('\n'));
      heard();
    }
  })();
  return {
    child,
    async says(text) {
      for (;;) {
        const at = said.indexOf(text);
        if (at >= 0) {
          said.splice(0, at + 1);
          return;
        }
        await new Promise<void>((resolve) => {
          heard = resolve;
        });
      }
    },
  };
}

async function kill({ child }: Evaluator): Promise<void> {
  child.kill('SIGKILL');
  await child.exited;
}

test('a thousand alerts, with the engine killed again and again: none is lost, none is told twice', async () => {
  const store = newStore();
  const writer = createWriter(store);
  writer.write([]);
  const COUNT = 1_000;
  let recorded = 0;
  let kills = 0;
  const messages = () => {
    try {
      const db = new Database(join(dirname(store), 'alerts.db'), { readonly: true });
      const rows = db.query('SELECT key, body FROM delivery').all() as { key: string; body: string }[];
      db.close();
      return rows;
    } catch {
      return [];
    }
  };
  const end = Date.now() + 50_000;
  while ((messages().length < COUNT || kills < 12) && Date.now() < end) {
    const evaluator = start(store, COUNT);
    if (recorded === 0) await evaluator.says('evaluates');
    const until = Date.now() + 100 + Math.random() * 400;
    while (Date.now() < until) {
      const rows = Array.from({ length: 4 }, () => rowOf(denied({ host: `h${recorded++ % COUNT}.example` })));
      writer.write(rows);
      await Bun.sleep(10);
    }
    await kill(evaluator);
    kills++;
  }
  while (recorded < COUNT) writer.write([rowOf(denied({ host: `h${recorded++}.example` }))]);
  const last = start(store, COUNT);
  while (messages().length < COUNT && Date.now() < end + 5_000) await Bun.sleep(50);
  await Bun.sleep(300);
  await kill(last);

  const told = messages();
  expect(new Set(told.map(({ key }) => key)).size).toBe(COUNT);
  const rules = told.map(({ body }) => JSON.parse(body).incident.rule as string);
  expect(new Set(rules).size).toBe(COUNT);
  expect(rules.length).toBe(COUNT);
  const notices = openQueries(store)
    .tail(0, 1_000_000)
    .flatMap((event) => (event.kind === 'notice' && event.topic === 'alert-firing' ? [event.text] : []));
  expect(new Set(notices).size).toBe(notices.length);
  expect(notices.length).toBe(COUNT);
  expect(verifyStore(store).ok).toBe(true);
}, 120_000);

test('one engine evaluates on a machine, and another takes over when it is killed', async () => {
  const store = newStore();
  createWriter(store).write([]);
  const first = start(store, 1);
  await first.says('evaluates');
  const second = start(store, 1);
  await second.says('stands by');
  const began = performance.now();
  await kill(first);
  await second.says('evaluates');
  expect(performance.now() - began).toBeLessThan(3_000);
  await kill(second);
});

test('an engine that stands still is replaced, and commits nothing when it goes on', async () => {
  const store = newStore();
  const writer = createWriter(store);
  writer.write([]);
  const first = start(store, 1);
  await first.says('evaluates');
  const second = start(store, 1);
  await second.says('stands by');
  first.child.kill('SIGSTOP');
  await second.says('evaluates');
  writer.write([rowOf(denied({ host: 'h0.example' }))]);
  first.child.kill('SIGCONT');
  await first.says('stands by');
  const db = new Database(join(dirname(store), 'alerts.db'), { readonly: true });
  while (db.query('SELECT 1 FROM delivery').get() === null) await Bun.sleep(20);
  await Bun.sleep(200);
  expect(db.query('SELECT count(*) AS count FROM delivery').get()).toEqual({ count: 1 });
  await kill(second);
  await first.says('evaluates');
  await kill(first);
}, 60_000);
