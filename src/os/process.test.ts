import { describe, expect, test } from 'bun:test';
import { closeSync, openSync } from 'node:fs';
import { lockFile } from './lock.ts';
import { foregroundGroup, signalsIn, statusOf } from './process.ts';

const program = (script: string) => [
  process.execPath,
  '-e',
  `const p = await import('${import.meta.dir}/process.ts');${script}`,
];

describe('statusOf', () => {
  test('reads what the kernel says of a process', () => {
    const status = statusOf(process.pid)!;
    expect(status.uid).toBe(process.getuid!());
    expect(status.parent).toBe(process.ppid);
    expect(status).toEqual(statusOf('self')!);
  });

  test('has nothing of a process that is none', () => {
    expect(statusOf(2 ** 22 + 1)).toBeNull();
  });
});

test('signals are numbered from one', () => {
  expect(signalsIn(0n)).toEqual([]);
  expect(signalsIn(0b101n | (1n << 63n))).toEqual([1, 3, 64]);
});

test('the limit of open files is set, and never above the hard one', () => {
  const script =
    `p.limitOpenFiles(99); const a = (await Bun.file('/proc/self/limits').text()).match(/open files +(\\\\d+)/)[1];
    p.limitOpenFiles(2 ** 40); console.log(a)`.replaceAll('\\\\', '\\');
  const { stdout, success } = Bun.spawnSync(program(script));
  expect(stdout.toString()).toBe('99\n');
  expect(success).toBe(true);
});

const hasScript = Bun.which('script') !== null;
if (!hasScript) console.warn('skipped: taking the foreground needs script(1)');

describe.if(hasScript)('on a terminal', () => {
  test('a process takes the foreground from the background, and is not stopped for it', () => {
    const [bun, ...words] = program(
      'p.makeForeground(0); console.log(String(p.foregroundGroup(0) === process.pid))',
    );
    const command = [bun!, ...words].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    const { stdout } = Bun.spawnSync(['script', '-qec', `sh -c "$INSIDE; true"`, '/dev/null'], {
      env: { ...process.env, INSIDE: command, SHELL: '/bin/sh' },
      timeout: 4000,
    });
    expect(stdout.toString().trim()).toBe('true');
  });

  test('what is not a terminal has no foreground', () => {
    const fd = openSync('/dev/null', 'r');
    expect(foregroundGroup(fd)).toBeNull();
    closeSync(fd);
  });
});

test('a lock that somebody has is not given twice', () => {
  const path = `/tmp/clawctl-lock-${process.pid}`;
  const [first, second] = [openSync(path, 'w'), openSync(path, 'w')];
  expect(lockFile(first, false)).toBe(true);
  expect(lockFile(second, false)).toBe(false);
  closeSync(first);
  expect(lockFile(second, true)).toBe(true);
  closeSync(second);
});
