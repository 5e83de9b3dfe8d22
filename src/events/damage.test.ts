import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Failure } from '../base/failure.ts';
import { allowed, newStore } from './event.fixture.ts';
import { openQueries } from './queries.ts';
import { openRecorder } from './recorder.ts';
import { verifyStore } from './verify.ts';

const program = import.meta.resolve('./recorder.fixture.ts').replace('file://', '');

async function filled(rows: number): Promise<string> {
  const store = newStore();
  const recorder = openRecorder({ store });
  await Promise.all(
    Array.from({ length: rows }, (_, connection) => recorder.decide(allowed({ connection }))),
  );
  await recorder.close();
  const db = new Database(store);
  db.run('PRAGMA wal_checkpoint(TRUNCATE)');
  db.close();
  return store;
}

function asideOf(store: string): string[] {
  return readdirSync(dirname(store))
    .filter((name) => name.startsWith('egress.db.corrupt-'))
    .sort();
}

const DAMAGES: Record<string, (store: string) => void> = {
  'another kind of file': (store) => writeFileSync(store, 'no database at all\n'.repeat(1_000)),
  'a file cut short': (store) => truncateSync(store, Math.floor(statSync(store).size / 4_096 / 2) * 4_096),
  'pages overwritten': (store) => {
    const file = openSync(store, 'r+');
    writeSync(file, new Uint8Array(40 * 4_096).fill(0xaa), 0, 40 * 4_096, 4_096);
    closeSync(file);
  },
};

describe.each(Object.entries(DAMAGES))('%s', (_, damage) => {
  test('is moved aside whole, a new store is begun, and a person is told', async () => {
    const store = await filled(2_000);
    damage(store);
    const bytes = readFileSync(store);
    const failures: Failure[] = [];
    const recorder = openRecorder({ store, onFailure: (failure) => failures.push(failure) });
    expect(await recorder.decide(allowed({ connection: 42 }))).toBe(true);
    await recorder.close();
    expect(failures.map(({ code }) => code)).toEqual(['store-corrupt']);
    const [aside] = asideOf(store);
    expect(readFileSync(`${dirname(store)}/${aside}`).equals(bytes)).toBe(true);
    const rows = openQueries(store).tail(0, 10);
    expect(rows).toContainEqual(expect.objectContaining({ kind: 'decision', connection: 42 }));
    expect(rows).toContainEqual(expect.objectContaining({ kind: 'notice', topic: 'store-replaced' }));
    expect(verifyStore(store).ok).toBe(true);
  });
});

test('a store damaged while in use is replaced by one recorder and followed by the other', async () => {
  const store = await filled(2_000);
  const [a, b] = [openRecorder({ store }), openRecorder({ store })];
  await a.decide(allowed());
  await b.decide(allowed());
  for (const file of [store, `${store}-wal`]) writeFileSync(file, 'x'.repeat(200_000), { flag: 'r+' });
  for (const recorder of [a, b]) {
    const end = Date.now() + 5_000;
    while (!(await recorder.decide(allowed())) && Date.now() < end) await Bun.sleep(50);
    expect(recorder.writable).toBe(true);
    await recorder.close();
  }
  expect(asideOf(store).filter((name) => !/-(wal|shm)$/.test(name))).toHaveLength(1);
  expect(verifyStore(store).ok).toBe(true);
});

test('killed in mid-write, the store holds every decision that was answered and its chain is good', async () => {
  const store = newStore();
  const child = Bun.spawn([process.execPath, program, 'write', store], { stdout: 'pipe' });
  let answered = 0;
  for await (const chunk of child.stdout) {
    answered = Number(new TextDecoder().decode(chunk).trim().split('\n').at(-1));
    if (answered > 2_000) break;
  }
  child.kill('SIGKILL');
  await child.exited;
  const checked = verifyStore(store);
  expect(checked).toMatchObject({ ok: true });
  expect(checked.ok && checked.rows).toBeGreaterThanOrEqual(answered);
  const { requests } = openQueries(store).stats({ since: Date.now() - 60_000, until: Date.now() + 1_000 });
  expect(requests).toBe(checked.ok ? checked.rows : -1);
});

const namespaces = spawnSync('unshare', ['-rm', 'true']).status === 0;

test.skipIf(!namespaces)(
  'a full disk refuses, and what was refused is counted when there is room again',
  () => {
    const seen = inNamespace('full');
    expect(seen).toMatchObject({ refused: true, quick: true, resumed: true, counted: true, good: true });
    expect(seen).toMatchObject({ told: expect.stringContaining('the disk is full') });
  },
);

test.skipIf(!namespaces)('a read-only disk opens nothing, but can be asked', () => {
  const seen = inNamespace('readonly');
  expect(seen).toEqual({
    refused: expect.stringContaining('it is read-only'),
    readable: true,
    resumed: true,
  });
});

/** Runs the fixture with a small disk of its own; needs user and mount namespaces. */
function inNamespace(mode: string): unknown {
  const folder = dirname(dirname(newStore()));
  const script = 'mount -t tmpfs -o size=1200k tmpfs "$1" && exec "$2" "$3" "$4" "$1/state/egress.db"';
  const run = spawnSync('unshare', [
    '-rm',
    'sh',
    '-c',
    script,
    'sh',
    folder,
    process.execPath,
    program,
    mode,
  ]);
  if (run.status !== 0) throw new Error(`${run.stdout}${run.stderr}`);
  return JSON.parse(String(run.stdout));
}

test.skipIf(process.getuid?.() !== 0)(
  'without permission nothing opens, and the reason and the fix are told',
  () => {
    const store = newStore();
    spawnSync('mkdir', ['-m', '700', dirname(store)]);
    const run = spawnSync(process.execPath, [program, 'open', store], { uid: 65_534, gid: 65_534 });
    const told = JSON.parse(String(run.stdout));
    expect(told).toMatchObject({
      code: 'store-unwritable',
      message: expect.stringContaining('permission denied'),
    });
    expect(told.fix).toContain('belong to this user');
    expect(existsSync(store)).toBe(false);
  },
);
