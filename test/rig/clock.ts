/**
 * A wall clock that a test sets while programs run, theirs alone. Mounts of their own show them a list of libraries to
 * load first, which no variable and no precaution of ours comes before, and on it one that adds seconds to the kernel's
 * time. Monotonic time stays what it is, as where somebody sets a clock. What it cannot show: somebody who sleeps until a
 * moment of wall time is woken by the kernel's.
 */
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { canMount, withMounts } from './mounts.ts';

const SOURCE = `
typedef struct { long seconds, parts; } Time;
extern long syscall(long number, ...);
#ifdef __x86_64__
enum { OPEN = 257, MAP = 9, CLOCK = 228 };
#else
enum { OPEN = 56, MAP = 222, CLOCK = 113 };
#endif
static volatile long *shift;
int clock_gettime(int clock, Time *time) {
  long failed = syscall(CLOCK, (long)clock, time);
  if (failed || (clock != 0 && clock != 5)) return failed;
  if (!shift) {
    long file = syscall(OPEN, -100L, FILE_OF_SHIFT, 0L);
    long mapped = file < 0 ? -1 : syscall(MAP, 0L, 8L, 1L, 1L, file, 0L);
    if (mapped == -1) return 0;
    shift = (volatile long *)mapped;
  }
  time->seconds += *shift;
  return 0;
}
int gettimeofday(Time *time, void *zone) {
  int failed = clock_gettime(0, time);
  time->parts /= 1000;
  return failed;
}
long time(long *seconds) {
  Time now;
  clock_gettime(0, &now);
  if (seconds) *seconds = now.seconds;
  return now.seconds;
}
`;

export const canSetClock = canMount && Bun.which('cc') !== null;
if (canMount && !canSetClock)
  console.warn('skipped: a clock that a test may set is made by a C compiler, and there is no cc');

export interface SettableClock {
  /** Words to put before a command that is to live by it. */
  by: readonly string[];
  /** Wall time, milliseconds; it goes on from there. */
  set(time: number): void;
  now(): number;
  close(): void;
}

/** It keeps its files in `folder`, and begins with the time that it is. */
export function openClock(folder: string): SettableClock {
  const [shiftFile, library, etc] = ['shift', 'clock.so', 'etc'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  let shift = 0n;
  writeFileSync(shiftFile, new BigInt64Array([shift]));
  const file = openSync(shiftFile, 'r+');
  const options = ['-shared', '-fPIC', '-O1', '-nostdlib', '-fno-builtin', '-xc', '-'];
  const compiled = Bun.spawnSync(
    ['cc', `-DFILE_OF_SHIFT=${JSON.stringify(shiftFile)}`, ...options, '-o', library],
    { stdin: Buffer.from(SOURCE) },
  );
  if (!compiled.success) throw new Error(`no clock: ${compiled.stderr}`);
  return {
    by: withMounts(`mkdir -p ${etc}
mount -t tmpfs none ${etc}
cp -a /etc/. ${etc} 2>/dev/null || true
echo ${library} > ${etc}/ld.so.preload
mount --bind ${etc} /etc`),
    set(time) {
      shift = BigInt(Math.round((time - Date.now()) / 1_000));
      writeSync(file, new BigInt64Array([shift]), 0, 8, 0);
    },
    now: () => Date.now() + Number(shift) * 1_000,
    close: () => closeSync(file),
  };
}
