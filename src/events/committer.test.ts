import { expect, test } from 'bun:test';
import { statSync } from 'node:fs';
import { newStore } from './event.fixture.ts';
import { openQueries } from './queries.ts';
import { verifyStore } from './verify.ts';

const NOTICE = `{ kind: 'notice', time: Date.now(), agent: 'a', session: 's', topic: 'policy-edited', text: 'x' }`;
const BEGINNING = `
  import { Database } from 'bun:sqlite';
  import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
  import { lockFile } from '${import.meta.dir}/../os/lock.ts';
  import { createCommitter } from '${import.meta.dir}/committer.ts';
  import { packed } from '${import.meta.dir}/packedrow.ts';
  import { rowOf } from '${import.meta.dir}/row.ts';
  const store = process.argv[1];
  const committer = createCommitter(store);
  const batch = { rows: JSON.stringify(packed(rowOf(${NOTICE}))), mark: null };
  let threads = 0;
  const { Worker: Thread } = globalThis;
  globalThis.Worker = class extends Thread {
    constructor(...words) {
      super(...words);
      threads++;
    }
  };
  const hold = () => {
    const fd = openSync(store + '.lock', 'a', 0o600);
    lockFile(fd, true);
    return () => closeSync(fd);
  };
  const report = [];
  const tell = (written) => report.push([written.ok, threads]);`;
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

/** A store with a log that is begun, as every gateway leaves one. */
function begunStore(): string {
  const store = newStore();
  const report = outcomeOf(store, 'tell(await committer.open()); tell(await committer.commit(batch, true));');
  expect(report).toEqual([
    [true, 1],
    [true, 1],
  ]);
  return store;
}

test('no thread is started to open a store that is begun, nor for the last that is said', () => {
  const store = begunStore();
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
  expect(openQueries(store).tail(0, 10)).toHaveLength(4);
  expect(verifyStore(store)).toEqual({ ok: true, rows: 4, evicted: 0 });
});

test('a thread begins the log anew, which waits for the disk', () => {
  const store = begunStore();
  const report = outcomeOf(
    store,
    `
    tell(await committer.open());
    const other = new Database(store);
    other.query('PRAGMA wal_checkpoint(TRUNCATE)').get();
    other.close();
    tell(await committer.commit(batch, true));`,
  );
  expect(report).toEqual([
    [true, 0],
    [true, 1],
  ]);
});

test('a program that ends without a thread leaves the log to others', () => {
  const store = begunStore();
  const before = statSync(`${store}-wal`).size;
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
  expect(statSync(`${store}-wal`).size).toBeGreaterThan(before);
});

test.each(['open', 'commit'])(
  'a thread waits where another gateway is committing, not this one (%s)',
  (what) => {
    const store = begunStore();
    const report = outcomeOf(
      store,
      `
    tell(await committer.open());
    const release = hold();
    const waiting = ${what === 'open' ? 'createCommitter(store).open()' : 'committer.commit(batch, true)'};
    let done = false;
    waiting.then(() => (done = true));
    const queue = new RegExp('-> FLOCK .*:' + statSync(store + '.lock').ino + ' ');
    while (!queue.test(readFileSync('/proc/locks', 'latin1'))) await Bun.sleep(1);
    report.push(done);
    release();
    tell(await waiting);`,
    );
    expect(report).toEqual([[true, 0], false, [true, 1]]);
    expect(verifyStore(store)).toEqual({ ok: true, rows: what === 'open' ? 1 : 2, evicted: 0 });
  },
);

test('another thread takes the place of one that has ended', () => {
  const store = begunStore();
  const report = outcomeOf(
    store,
    `
    const { Worker: Counted } = globalThis;
    globalThis.Worker = class {
      constructor() {
        globalThis.Worker = Counted;
        return new Counted('data:text/javascript,process.exit(0)');
      }
    };
    tell(await committer.open());
    report.push((await committer.commit(batch, false)).ok);
    tell(await committer.commit(batch, false));
    `,
  );
  expect(report).toEqual([[true, 0], false, [true, 2]]);
  expect(verifyStore(store)).toEqual({ ok: true, rows: 2, evicted: 0 });
});
