/** The person's terminal: a command in a fence uses it as any other does, and cannot reach beyond it. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { type Step, sitDown } from './rig/keyboard.ts';
import { createPerson, type Person, python, USERS, whyNoFence } from './rig/person.ts';

const reason = await whyNoFence();
if (reason !== null) console.warn(`skipped: no fence can be built here: ${reason}`);

const CONTROL_C = '\x03';
const CONTROL_Z = '\x1a';
const SHELL = ['bash', '--norc', '--noprofile', '--noediting', '-i'];
const READY: Step = { wait: 'ready> ' };
/** One process from first to last: a key could else come between two, when nobody has the terminal. */
const SLEEP = `sh -c 'echo sl""eeping; exec sleep 100'`;
/** Types a line; what it prints ends with a word that the line itself does not hold. */
const ask = (line: string, answer: string): Step[] => [{ type: line }, { wait: answer }, READY];

describe.skipIf(reason !== null).each([...USERS])('as %s, at a terminal', (user) => {
  let person: Person;
  beforeEach(() => {
    person = createPerson(user);
  });
  afterEach(() => person.leave());

  const fence = (...words: string[]) => {
    const command = person.command('', { flags: ['--quiet'] });
    return [...command.slice(0, command.indexOf('--') + 1), ...words].filter(
      (word) => !person.command(null).includes(word),
    );
  };
  const line = (words: readonly string[]) =>
    words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');

  test('an interactive shell has job control, Ctrl-C, Ctrl-Z and the size of the window', async () => {
    const { missed } = await sitDown(person, fence(...SHELL), [
      READY,
      { size: [33, 111] },
      ...ask('stty size', '33 111'),
      { type: SLEEP },
      { wait: 'sleeping' },
      { type: CONTROL_C },
      READY,
      ...ask('echo code=$?', 'code=130'),
      { type: SLEEP },
      { wait: 'sleeping' },
      { type: CONTROL_Z },
      { wait: 'Stopped' },
      READY,
      ...ask('bg; jobs', 'Running'),
      ...ask('kill %1; wait; echo no""ne', 'none'),
      { size: [20, 50] },
      ...ask('stty size', '20 50'),
      { type: 'fg 2>/dev/null; trap "echo win""ch" WINCH; echo tr""apped' },
      { wait: 'trapped' },
      { size: [21, 51] },
      { type: '' },
      { wait: 'winch' },
    ]);
    expect(missed).toBeNull();
  }, 20_000);

  test('a fence is a job of the shell around it: stopped, continued, ended, and its code is known', async () => {
    const job = python(`
import os, signal
signal.signal(signal.SIGCONT, lambda *_: os.write(1, b"contin" + b"ues"))
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.write(1, b"star" + b"ted")
while True: signal.pause()`);
    const run = line(fence('sh', '-c', `exec ${job}`));
    const { missed } = await sitDown(person, SHELL, [
      READY,
      { type: run },
      { wait: 'started' },
      { type: CONTROL_Z },
      { wait: 'Stopped' },
      READY,
      { type: 'fg' },
      { wait: 'continues' },
      { type: CONTROL_C },
      READY,
      ...ask('echo code=$?', 'code=130'),
      ...ask(`${line(fence('sh', '-c', 'exit 7'))}; echo code=$?`, 'code=7'),
      // And the terminal belongs to the shell again.
      ...ask('cat /etc/hostname > /dev/tty; echo ba""ck', 'back'),
    ]);
    expect(missed).toBeNull();
  }, 20_000);

  test('no other terminal of the person is seen, opened or written to', async () => {
    const attack = 'echo leak > "$OTHER"; ls /dev/pts; echo en""ded';
    const steps: Step[] = [{ wait: 'ended' }];
    const free = await sitDown(person, ['sh', '-c', attack], steps);
    expect(free.leaked).toContain('leak');
    const fenced = await sitDown(person, fence('sh', '-c', attack), steps);
    expect([fenced.missed, fenced.leaked]).toEqual([null, '']);
    expect(fenced.screen.match(/^\d+\s*$/m)).toBeNull();
  });

  test('nothing is typed into it by the command', async () => {
    const push = python(`
import fcntl
for request, argument in ((0x5412, b"x"), (0x541c, b"\\x03")):
  try: fcntl.ioctl(0, request, argument); print("pushed", hex(request))
  except OSError as error: print(error.errno, hex(request))
print("en" + "ded")`);
    const { missed, screen } = await sitDown(person, fence('sh', '-c', push), [{ wait: 'ended' }]);
    expect(missed).toBeNull();
    // EPERM by the filter: the kernel itself says EIO where it forbids the first to everybody.
    expect(screen.match(/^1 0x541[2c]/gm)).toHaveLength(2);
  });

  test('new terminals are its own', async () => {
    const inner = `script -qec 'tty; echo ow""ned' /dev/null`;
    const { missed, screen } = await sitDown(person, fence('sh', '-c', inner), [{ wait: 'owned' }]);
    expect(missed).toBeNull();
    expect(screen).toContain('/dev/pts/0');
  });
});
