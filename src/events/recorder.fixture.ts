/** A program for tests that have to kill it, or that give it a disk or a user of its own. */
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Failure } from '../base/failure.ts';
import { allowed, denied } from './event.fixture.ts';
import { openQueries } from './queries.ts';
import { openRecorder } from './recorder.ts';
import { verifyStore } from './verify.ts';

const [mode, store] = process.argv.slice(2) as [string, string];
if (mode === 'write') await writeForever();
else if (mode === 'repeat') await repeat();
else if (mode === 'open') await begin().catch(print);
else print(mode === 'full' ? await fullDisk() : await readOnlyDisk());
process.exit(0);

/** Opens it and waits until it is open. */
async function begin(): Promise<void> {
  await openRecorder({ store }).opened;
}

/** Prints how many decisions were answered, until killed. */
async function writeForever(): Promise<void> {
  const recorder = openRecorder({ store });
  for (let answered = 0; ; ) {
    const batch = Array.from({ length: 50 }, (_, n) =>
      recorder.decide(allowed({ connection: answered + n })),
    );
    answered += (await Promise.all(batch)).filter(Boolean).length;
    await new Promise(setImmediate);
    process.stdout.write(`${answered}\n`);
  }
}

/** Says when 200 refusals alike are recorded, and waits to be killed. */
async function repeat(): Promise<void> {
  const recorder = openRecorder({ store });
  await Promise.all(Array.from({ length: 200 }, (_, connection) => recorder.decide(denied({ connection }))));
  process.stdout.write('done\n');
  await Bun.sleep(60_000);
}

/** Fills the disk, sees decisions refused, makes room and sees them recorded. */
async function fullDisk() {
  const ballast = join(dirname(dirname(store)), 'ballast');
  const failures: Failure[] = [];
  const recorder = openRecorder({ store, onFailure: (failure) => failures.push(failure) });
  await recorder.decide(allowed());
  fill(ballast);
  let slowest = 0;
  let refused = false;
  let asked = 1;
  for (const end = Date.now() + 5_000; !refused && Date.now() < end; asked++) {
    await Bun.sleep(1);
    const began = performance.now();
    refused = !(await recorder.decide(allowed({ connection: asked })));
    slowest = Math.max(slowest, performance.now() - began);
  }
  const quick = slowest < 1_000;
  rmSync(ballast);
  const end = Date.now() + 5_000;
  while (!recorder.writable && Date.now() < end) await Bun.sleep(20);
  const resumed = await recorder.decide(allowed());
  await recorder.close();
  const { requests, blocked } = openQueries(store).stats({
    since: Date.now() - 60_000,
    until: Date.now() + 1_000,
  });
  const counted = requests === asked + 1 && blocked === 1;
  return { refused, quick, resumed, counted, told: failures[0]?.message, good: verifyStore(store).ok };
}

/** Opens a store on a disk that is read-only, then on the same disk when it can be written. */
async function readOnlyDisk() {
  const disk = dirname(dirname(store));
  await openRecorder({ store }).close();
  shell('mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"', disk);
  const refused = await begin().then(
    () => 'opened',
    (failure: Failure) => failure.message,
  );
  const queries = openQueries(store);
  const readable = queries.lastSequence() === 0;
  queries.close();
  shell('umount -l "$0"', disk);
  const recorder = openRecorder({ store });
  return { refused, readable, resumed: await recorder.decide(allowed()) };
}

function fill(file: string): void {
  try {
    for (;;) writeFileSync(file, new Uint8Array(4_096), { flag: 'a' });
  } catch {
    // full
  }
}

function shell(script: string, argument: string): void {
  spawnSync('sh', ['-c', script, argument]);
}

function print(value: unknown): void {
  const failure = value as Failure;
  console.log(JSON.stringify(value instanceof Error ? { ...failure, message: failure.message } : value));
}
