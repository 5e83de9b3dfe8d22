/** A command in a fence reaches nothing by which a service of the same user is led: its sockets, its lock, the stop. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { spawnSync } from 'bun';
import { linesOf } from './rig/lines.ts';
import { createPerson, type Person, python, USERS, whyNoFence } from './rig/person.ts';
import { freePort } from './rig/service.ts';

const reason = await whyNoFence();
const CLAWCTL = process.env.CLAWCTL_TEST_BINARY ?? resolve(import.meta.dir, '../clawctl');

describe.skipIf(reason !== null).each([...USERS])('in a fence of %s', (user) => {
  let person: Person;
  let service: Bun.Subprocess<'ignore', 'ignore', 'pipe'>;
  let runtime: string;
  let proxy: string;
  beforeEach(async () => {
    person = createPerson(user);
    runtime = join(person.folder, 'runtime');
    mkdirSync(runtime, { mode: 0o700 });
    proxy = join(person.home, 'proxy.sock');
    person.environment.XDG_RUNTIME_DIR = runtime;
    person.put(join(person.config, 'clawctl/egress.yaml'), 'version: 1\n');
    if (user !== 'root') spawnSync(['chown', '--reference', person.home, runtime]);
    const words = `exec ${CLAWCTL} egress serve --workers 1 --listen 127.0.0.1:${freePort()} --listen unix:${proxy}`;
    service = Bun.spawn(person.command(words), {
      env: person.environment,
      cwd: person.workspace,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await linesOf(service.stderr).until('clawctl: serving');
  });
  afterEach(async () => {
    service.kill('SIGKILL');
    await service.exited;
    person.leave();
  });

  const knock = () =>
    python(`
import glob, os, socket
for path in sorted(glob.glob("${runtime}/clawctl/serve-default/*.sock")) + ["${runtime}/clawctl/serve-default/admin.sock", "${runtime}/clawctl/serve-default/takeover.sock", "${proxy}"]:
  s = socket.socket(socket.AF_UNIX)
  try: s.connect(path); print("OUT", path)
  except OSError as e: print("no", e.errno)
try: open("${person.state}/clawctl/egress.kill", "w").write(""); print("written")
except OSError as e: print("no", e.errno)
try: print("STATE", os.listdir("${person.state}/clawctl"))
except OSError as e: print("no", e.errno)
`);

  test('no socket of a service answers, and nothing stops it', async () => {
    const { out: outside } = await person.unfenced(knock());
    expect(outside).toContain(`OUT ${proxy}`);
    expect(outside).toContain(`OUT ${runtime}/clawctl/serve-default/takeover.sock`);
    expect((await person.egress(['resume'])).err).toContain('may go on');
    const { out: inside } = await person.fenced(knock());
    expect(inside).toContain('no');
    expect(inside).not.toContain('OUT');
    expect(inside).not.toContain('serve-default');
    expect((await person.egress(['resume'])).err).toContain('nothing was stopped');
    expect((await person.egress(['status'])).code).toBe(0);
  });
});
