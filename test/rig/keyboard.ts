/** Somebody at a terminal: types, waits for what must appear, resizes the window. Python has the pseudo-terminals. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Person } from './person.ts';

/** `type`: text, a line unless it ends with a control character. `wait`: until the text has appeared since the last wait. */
export type Step = { type: string } | { wait: string } | { size: [rows: number, columns: number] };

export interface Sitting {
  /** All that appeared. */
  screen: string;
  /** What did not appear in time, or null. */
  missed: string | null;
}

const DRIVER = `
import fcntl, json, os, pty, select, struct, sys, termios, time
plan = json.load(open(sys.argv[1]))
# Another window of the same person, which nobody in the first one may reach.
other, name = pty.openpty()
os.environ["OTHER"] = os.ttyname(name)
os.fchmod(name, 0o666)
pid, fd = pty.fork()
if pid == 0:
  os.execvp(plan["command"][0], plan["command"])
screen, seen, missed = b"", 0, None
def look(seconds):
  global screen
  if not select.select([fd], [], [], seconds)[0]: return True
  try: piece = os.read(fd, 65536)
  except OSError: return False
  screen += piece
  return piece != b""
for step in plan["steps"]:
  if "size" in step: fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *step["size"], 0, 0))
  elif "type" in step: os.write(fd, step["type"].encode())
  else:
    wanted, end, alive = step["wait"].encode(), time.time() + 10, True
    while alive and wanted not in screen[seen:] and time.time() < end: alive = look(0.1)
    at = screen.find(wanted, seen)
    if at < 0:
      missed = step["wait"]
      break
    seen = at + len(wanted)
leaked = os.read(other, 1000).decode() if select.select([other], [], [], 0)[0] else ""
os.close(fd)
print(json.dumps({"screen": screen.decode(errors="replace"), "missed": missed, "leaked": leaked}))`;

const LAST_CONTROL = 0x1f;

/** `leaked`: what was written to the person's other window, whose path is in OTHER. */
export async function sitDown(
  person: Person,
  command: readonly string[],
  steps: readonly Step[],
): Promise<Sitting & { leaked: string }> {
  const plan = join(person.folder, 'keyboard.json');
  const typed = (text: string) => (text.charCodeAt(text.length - 1) <= LAST_CONTROL ? text : `${text}\n`);
  const all = steps.map((step) => ('type' in step ? { type: typed(step.type) } : step));
  writeFileSync(plan, JSON.stringify({ command, steps: all }));
  const words = [...person.command(null), '/usr/bin/python3', '-c', DRIVER, plan];
  const child = Bun.spawn(words, {
    cwd: person.workspace,
    env: { ...person.environment, TERM: 'dumb', PS1: 'ready> ' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(await new Response(child.stdout).text());
}
