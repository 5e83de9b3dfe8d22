import { expect, test } from 'bun:test';
import { statSync } from 'node:fs';
import { newStore } from './event.fixture.ts';
import { openQueries } from './queries.ts';
import { verifyStore } from './verify.ts';

const NOTICE = `{ kind: 'notice', time: Date.now(), agent: 'a', session: 's', topic: 'policy-edited', text: 'x' }`;
const BEGINNING = `
  import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
  import { lockFile } from '${import.meta.dir}/../os/lock.ts';
  import { createCommitter } from '${import.meta.dir}/committer.ts';
  import { packed } from '${import.meta.dir}/packedrow.ts';
  import { rowOf } from '${import.meta.dir}/row.ts';
  const store = process.argv[1];
  const committer = createCommitter(store);
  const batch = { rows: JSON.stringify(packed(rowOf(${NOTICE}))), mark: null };
  const threads = () =>
    readdirSync('/proc/self/task').filter((task) => {
      return readFileSync('/proc/self/task/' + task + '/comm', 'latin1') === 'Worker\\n';
    }).length;
  const hold = () => {
    const fd = openSync(store + '.lock', 'a', 0o600);
    lockFile(fd, true);
    return () => closeSync(fd);
  };
  const report = [];
  const tell = (written) => report.push([written.ok, threads()]);`;
const END = `
  console.log(JSON.stringify(report));
  process.exit(0);`;

/** In a program of its own: its threads can be counted, and it can be ended where it waits for ever. */
function outcomeOf(store: string, script: string): unknown {
  const run = Bun.spawnSync([process.execPath, '-e', `${BEGINNING}${script}${END}`, store], {
    timeout: 10_000,
  });
  expect(`${run.stderr}`).toBe('');
  return JSON.parse(`${run.stdout}`);
}

test('no thread is started to open the store, nor for the last that is said', () => {
  const store = newStore();
  const report = outcomeOf(
    store,
    `
    tell(await committer.open());
    tell(await committer.commit(batch, true));
    tell(await committer.commit(batch, false));
    tell(await committer.commit(batch, true));`,
  );
  expect(report).toEqual([
    [true, 0],
    [true, 0],
    [true, 1],
    [true, 1],
  ]);
  expect(openQueries(store).tail(0, 10)).toHaveLength(3);
  expect(verifyStore(store)).toEqual({ ok: true, rows: 3, evicted: 0 });
});

test('a program that ends without a thread leaves the log to others, and does not wait for the disk', () => {
  const store = newStore();
  const report = outcomeOf(
    store,
    `
    tell(await committer.open());
    tell(await committer.commit(batch, true));
    committer.leave();`,
  );
  expect(report).toEqual([
    [true, 0],
    [true, 0],
  ]);
  expect(statSync(`${store}-wal`).size).toBeGreaterThan(0);
});

test.each(['open', 'commit'])(
  'a thread waits where another gateway is committing, not this one (%s)',
  (what) => {
    const store = newStore();
    const report = outcomeOf(
      store,
      `
    tell(await committer.open());
    const release = hold();
    const waiting = ${what === 'open' ? 'createCommitter(store).open()' : 'committer.commit(batch, true)'};
    let done = false;
    waiting.then(() => (done = true));
    while (threads() === 0) await Bun.sleep(1);
    report.push(done);
    release();
    tell(await waiting);`,
    );
    expect(report).toEqual([[true, 0], false, [true, 1]]);
    expect(verifyStore(store)).toEqual({ ok: true, rows: what === 'open' ? 0 : 1, evicted: 0 });
  },
);
