/**
 * A command of the person's own: the alert as JSON on its standard input, an environment with nothing of ours in it,
 * no shell, a time limit after which it and all it started are killed. It runs outside every fence, so it has to be a
 * file that nobody else may change.
 */
import { statSync } from 'node:fs';
import { dirname, isAbsolute } from 'node:path';
import { printable } from '../../names/display.ts';
import { later, type Sent, unconfigured } from './sent.ts';
import { COMMAND_VARIABLES, variablesNamed } from './variables.ts';

const PATH = '/usr/local/bin:/usr/bin:/bin';
const OTHERS_MAY_WRITE = 0o022;
const MOST_TEXT = 200;
/** Milliseconds for what it wrote before it ended. What left its session and holds the pipe open may never end. */
const LAST_WORDS = 200;

export interface CommandRun {
  command: readonly [string, ...string[]];
  input: string;
  /** Added to what it gets. */
  environment?: Readonly<Record<string, string>>;
  signal: AbortSignal;
}

export async function runCommand({ command, input, environment = {}, signal }: CommandRun): Promise<Sent> {
  const [program, ...rest] = command;
  const problem = problemWith(program);
  if (problem !== null) return unconfigured(problem);
  let child: ReturnType<typeof spawn>;
  try {
    child = spawn([program, ...rest], input, { ...ownEnvironment(), ...environment });
  } catch (error) {
    return unconfigured(`${program} cannot be executed (${(error as NodeJS.ErrnoException).code})`);
  }
  const kill = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      child.kill('SIGKILL');
    }
  };
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();
  const complaint = beginningOf(child.stderr, MOST_TEXT);
  try {
    const code = await child.exited;
    // What it left behind would hold the pipe open, and ours is the last word.
    kill();
    if (signal.aborted) return later('it did not end in time', null, false);
    if (code === 0) return { state: 'delivered', detail: 'exit code 0' };
    const text = printable((await complaint.within(LAST_WORDS)).trim());
    return later(`exit code ${code ?? 'none'}${text === '' ? '' : `: ${text}`}`, null, false);
  } finally {
    signal.removeEventListener('abort', kill);
    complaint.leave();
  }
}

function spawn(words: string[], input: string, env: Record<string, string>) {
  return Bun.spawn(words, {
    cwd: '/',
    env,
    stdin: Buffer.from(input),
    stdout: 'ignore',
    stderr: 'pipe',
    // A session of its own: killed as a whole, and without our terminal.
    detached: true,
  });
}

const ownEnvironment = () => ({ PATH, ...variablesNamed(COMMAND_VARIABLES) });

/** Null where it is a program that only its owner, who is us or root, may change. */
export function problemWith(program: string): string | null {
  if (!isAbsolute(program)) return `${printable(program)} is not an absolute path`;
  const uid = process.getuid!();
  for (let path = program; ; path = dirname(path)) {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return `${printable(program)} does not exist`;
    const isSticky = stats.isDirectory() && (stats.mode & 0o1000) !== 0;
    if ((stats.uid !== 0 && stats.uid !== uid) || ((stats.mode & OTHERS_MAY_WRITE) !== 0 && !isSticky))
      return `others may change ${printable(path)}, so it is not run`;
    if (path === program && (!stats.isFile() || (stats.mode & 0o111) === 0))
      return `${printable(program)} is not an executable file`;
    if (path === '/') return null;
  }
}

/** The beginning of what is written there. It is read until it is left, so that nobody waits for a full pipe. */
function beginningOf(stream: ReadableStream<Uint8Array>, most: number) {
  const reader = stream.getReader();
  let text = '';
  const ended = (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      if (text.length < most) text += Buffer.from(value).toString('utf8');
    }
  })().catch(() => undefined);
  return {
    /** What there is when it ends, or when so many milliseconds are over. */
    async within(milliseconds: number): Promise<string> {
      await Promise.race([ended, Bun.sleep(milliseconds)]);
      return text.slice(0, most);
    },
    leave: () => void reader.cancel().catch(() => undefined),
  };
}
