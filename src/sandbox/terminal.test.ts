import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { whyNot } from './inside.fixture.ts';
import { makePlace, type Place } from './place.fixture.ts';

const reason = whyNot();

/** A person at a shell with job control, in a terminal of their own. */
function openShell(place: Place) {
  let seen = '';
  const shell = Bun.spawn(place.become(['bash', '--norc', '--noprofile', '-i']), {
    env: { PATH: '/usr/bin:/bin', PS1: 'outside> ', HOME: place.home },
    cwd: '/',
    terminal: {
      cols: 200,
      rows: 24,
      data(_terminal: unknown, bytes: Uint8Array) {
        seen += Buffer.from(bytes).toString();
      },
    },
  } as never) as Bun.Subprocess & {
    terminal: { write(text: string): void; resize(cols: number, rows: number): void };
  };
  return {
    shell,
    /** Types, and waits for what must appear after it. */
    async type(text: string, expected: string) {
      const from = seen.length;
      shell.terminal.write(text);
      for (let turns = 0; turns < 500 && !seen.slice(from + text.length).includes(expected); turns++)
        await Bun.sleep(10);
      expect(seen.slice(from + text.length)).toContain(expected);
    },
  };
}

describe.skipIf(reason !== null)('at a terminal', () => {
  let place: Place;
  beforeAll(() => {
    place = makePlace(false);
  });
  afterAll(() => place.remove());

  const fenced = (command: string[]) => place.line(command);

  test('the command is stopped, continued and interrupted by keys', async () => {
    const { type, shell } = openShell(place);
    // Not `cat` as a child of sh: a key that comes between its vfork and exec stops the child alone, fence or not.
    await type(`${fenced(['sh', '-c', 'echo up; exec cat'])}\n`, '\nup');
    await type('\x1a', 'Stopped');
    await type('fg\n', 'sh');
    await type('hello\n', '\nhello');
    await type('\x03', 'outside>');
    await type('echo code $?\n', 'code 130');
    shell.kill('SIGKILL');
  });

  test('a shell inside has jobs of its own, the size of the window, and a way to be suspended', async () => {
    const { type, shell } = openShell(place);
    await type(`${fenced(['env', 'PS1=inside> ', 'bash', '--norc', '--noprofile', '-i'])}\n`, 'inside>');
    await type("sh -c 'echo up; exec sleep 100'\n", '\nup');
    await type('\x1a', 'Stopped');
    await type('kill %1; stty size\n', '24 200');
    shell.terminal.resize(99, 33);
    await type('stty size\n', '33 99');
    await type('suspend -f\n', 'outside>');
    await type('fg\n', 'inside>');
    await type('ls /dev/pts\n', 'ptmx');
    await type('exit 5\n', 'outside>');
    await type('echo code $?\n', 'code 5');
    shell.kill('SIGKILL');
  });

  test('one in the background leaves the terminal to the shell, and the shell’s script gets it back', async () => {
    const { type, shell } = openShell(place);
    await type(`${fenced(['sleep', '1'])} & echo started\n`, 'started');
    await type('echo still here\n', 'still here');
    await type(`sh -c '${fenced(['true'])}; echo asking; read line; echo got $line'\n`, '\nasking');
    await type('words\n', 'got words');
    shell.kill('SIGKILL');
  });
});
