import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmodSync, existsSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { USER, whyNot } from './inside.fixture.ts';
import { makePlace, type Place } from './place.fixture.ts';

const reason = whyNot();
if (reason !== null) console.warn(`skipped: ${reason}`);
const users = process.getuid!() === 0 ? ['an ordinary user', 'root'] : ['an ordinary user'];

const until = async (condition: () => boolean) => {
  for (let turns = 0; !condition() && turns < 500; turns++) await Bun.sleep(10);
  expect(condition()).toBe(true);
};
/** JavaScript that tells whether a UNIX socket can be connected to. */
const connecting = (path: string) =>
  `require('net').connect(${JSON.stringify(path)}).on('connect', () => { console.log('REACHED'); process.exit() }).on('error', (e) => console.log(e.code))`;
const writingTo = (path: string) =>
  `const { constants: c, openSync, writeSync } = require('fs'); try { writeSync(openSync(${JSON.stringify(path)}, c.O_WRONLY | c.O_NONBLOCK), 'secret'); console.log('WRITTEN') } catch (e) { console.log(e.code) }`;

describe.skipIf(reason !== null).each(users)('a command launched by %s', (user) => {
  let place: Place;
  const servers: Server[] = [];
  let visits = 0;
  const listen = async (path: string) => {
    const server = createServer((socket) => {
      visits++;
      socket.end();
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    if (path.startsWith('/')) chmodSync(path, 0o777);
    return path;
  };
  const makeFifo = (path: string) => {
    Bun.spawnSync(['mkfifo', '-m', '666', path]);
    return { path, reader: openSync(path, 'r+') };
  };

  beforeAll(() => {
    place = makePlace(user === 'root');
  });
  afterAll(() => {
    for (const server of servers) server.close();
    place.remove();
  });

  test('changes its working directory for real and ends with its own code', async () => {
    const { code, stdout } = await place.run(['sh', '-c', 'pwd; id -u; echo new > made; exit 42']);
    expect(code).toBe(42);
    expect(stdout).toBe(`${place.workspace}\n${user === 'root' ? 0 : USER}\n`);
    expect(readFileSync(join(place.workspace, 'made'), 'utf8')).toBe('new\n');
  });

  test('reaches the gateway and nothing else', async () => {
    const { stdout } = await place.runScript(`console.log(await (await fetch('http://198.18.0.1/')).text())`);
    expect(stdout).toBe('the gateway\n');
  });

  test('tells why it could not be started', async () => {
    const missing = await place.run(['/no/such/command']);
    expect([missing.code, missing.failure?.code]).toEqual([127, 'command-not-found']);
    const unfit = await place.run(['/etc/passwd']);
    expect([unfit.code, unfit.failure?.code]).toEqual([126, 'command-not-executable']);
  });

  test('has a copy of the home that stays, and leaves the real one alone', async () => {
    place.put(join(place.home, '.profile'), 'mine\n');
    const change = 'echo theirs >> ~/.profile; mkdir -p ~/.cache/x; cat ~/.profile';
    expect((await place.run(['sh', '-c', change])).stdout).toBe('mine\ntheirs\n');
    expect(readFileSync(join(place.home, '.profile'), 'utf8')).toBe('mine\n');
    expect(existsSync(join(place.home, '.cache'))).toBe(false);
    expect((await place.run(['cat', `${place.home}/.profile`])).stdout).toBe('mine\ntheirs\n');
    expect((await place.run(['cat', `${place.home}/.profile`], { agent: 'another' })).stdout).toBe('mine\n');
    await place.run(['sh', '-c', 'mkdir ~/shut; chmod 0 ~/shut']);
    expect((await place.run(['sh', '-c', 'cat ~/.profile; ls ~'], { fresh: true })).stdout).toBe('mine\n');
  });

  test('has a copy in memory while another run of the agent has the one that stays', async () => {
    const first = place.start(['sh', '-c', 'echo first > ~/who; cat'], { stdin: 'pipe' });
    await until(() => first.told() !== null);
    const second = await place.run(['sh', '-c', 'echo second > ~/who; cat ~/who']);
    expect(second.stdout).toBe('second\n');
    expect(second.notices.join()).toContain('another run of tester');
    (first.child.stdin as Bun.FileSink).end();
    await first.ended;
    expect((await place.run(['sh', '-c', 'cat ~/who'])).stdout).toBe('first\n');
  });

  test('sees neither our own files nor credential stores', async () => {
    const { paths, home } = place;
    const options = { cwd: home };
    place.put(paths.policy, 'version: 1\n');
    place.put(join(home, '.netrc'), 'password\n');
    for (const name of ['id_rsa', 'known_hosts']) {
      place.put(join(home, '.ssh', name), `${name}\n`);
    }
    const look = `cat ~/.ssh/* ~/.netrc ${paths.policy} 2>&1; ls -A ~/.ssh ${paths.config} ${paths.state}`;
    const { stdout } = await place.run(['sh', '-c', look], options);
    for (const secret of ['password', 'id_rsa', 'version', 'homes']) expect(stdout).not.toContain(secret);
    const moving = `mv ~/.ssh ~/seen; mv ~/.config ~/other; cat ~/seen/* ~/other/clawctl/*; echo x > ${paths.policy}`;
    const moved = await place.run(['sh', '-c', moving], options);
    expect(moved.stdout).toBe('');
    expect(readFileSync(paths.policy, 'utf8')).toBe('version: 1\n');
    const shown = await place.run(['sh', '-c', 'cat ~/.ssh/known_hosts ~/.ssh/id_rsa'], {
      ...options,
      reads: [join(home, '.ssh/known_hosts')],
    });
    expect(shown.stdout).toBe('known_hosts\n');
    const asked = await place.run(['true'], { reads: [paths.policy] });
    expect(asked.failure?.code).toBe('run-refused');
  });

  test('reaches no UNIX socket of the outside, unless it is let in', async () => {
    const sockets = [
      await listen(join(place.home, 'home.sock')),
      await listen(join(place.workspace, 'workspace.sock')),
      await listen(join(place.folder, 'visible.sock')),
      await listen(`\0clawctl-test-${process.pid}-${user}`),
    ];
    for (const path of sockets)
      expect((await place.runScript(connecting(path))).stdout).not.toContain('REACHED');
    expect(visits).toBe(0);
    for (const path of sockets.slice(0, 3)) {
      const { stdout } = await place.runScript(connecting(path), { sockets: [{ path, force: false }] });
      expect(stdout).toBe('REACHED\n');
    }
    expect(visits).toBe(3);
  });

  test('reaches nobody through a FIFO of the outside', async () => {
    for (const folder of [place.folder, place.home, place.workspace]) {
      const { path, reader } = makeFifo(join(folder, 'fifo'));
      await place.runScript(writingTo(path));
      const rest = Bun.spawnSync(['dd', 'iflag=nonblock', 'status=none'], { stdin: reader });
      expect(rest.stdout.toString()).toBe('');
    }
  });

  test('writes nowhere else', async () => {
    const targets = [
      '/etc/x',
      '/usr/x',
      '/dev/x',
      '/sys/x',
      // A home below /tmp lies in the fence's own.
      ...(place.folder.startsWith('/tmp/') ? [] : [`${place.folder}/x`]),
      '/proc/sys/kernel/core_pattern',
    ];
    const attempts = targets.map((path) => `echo x 2>/dev/null > ${path} && echo WROTE ${path}`).join('; ');
    expect((await place.run(['sh', '-c', `(${attempts}) 2>/dev/null`])).stdout).toBe('');
    const usual =
      'cd /tmp && mkdir a b && echo x > a/f && mv a/f b/ && mv b ~/b && cat ~/b/f > /dev/shm/f && cat /dev/shm/f > /dev/stdout';
    expect((await place.run(['sh', '-c', usual])).stdout).toBe('x\n');
  });

  test('signals and traces nobody outside, and not the first process inside', async () => {
    const kill =
      "trap '' TERM; kill -TERM 0; kill -TERM -1; cat /proc/1/environ /proc/1/maps; ls /proc/1/root; echo alive";
    const { code, stdout } = await place.run(['sh', '-c', kill]);
    expect([code, stdout]).toEqual([0, 'alive\n']);
    expect((await place.run(['sh', '-c', 'kill -9 0'])).code).toBe(137);
    const arguments_ = await place.run(['cat', '/proc/1/cmdline']);
    expect(arguments_.stdout).not.toContain(place.paths.state);
  });

  test('takes all its processes along when it ends', async () => {
    const late = join(place.workspace, 'late');
    const begin = performance.now();
    const { code } = await place.run(['sh', '-c', `(setsid sh -c 'sleep 2; touch ${late}' &) ; exit 3`]);
    expect(code).toBe(3);
    expect(performance.now() - begin).toBeLessThan(2_000);
    await Bun.sleep(2_100 - (performance.now() - begin));
    expect(existsSync(late)).toBe(false);
  });

  test('dies with us, its children included', async () => {
    const marker = `${87_000 + Math.floor(Math.random() * 10_000)}`;
    const running = place.start(['sh', '-c', `setsid sleep ${marker} & sleep ${marker}`]);
    const alive = () => Bun.spawnSync(['pgrep', '-f', `sleep ${marker}$`]).stdout.toString() !== '';
    await until(alive);
    running.child.kill('SIGKILL');
    await until(() => !alive());
  });

  test('gets the signals that are sent to us', async () => {
    const running = place.start([
      'sh',
      '-c',
      "trap 'echo caught; exit 7' TERM; echo ready > up; sleep 60 & wait",
    ]);
    await until(() => existsSync(join(place.workspace, 'up')));
    running.child.kill('SIGTERM');
    const { code, stdout } = await running.ended;
    expect([code, stdout]).toEqual([7, 'caught\n']);
  });

  test('has pipes where we have files, and loses nothing of them', async () => {
    const input = join(place.folder, 'input');
    const output = join(place.folder, 'output');
    const bytes = Buffer.alloc(5_000_000, 'every byte counts. ');
    writeFileSync(input, bytes);
    const out = openSync(output, 'w');
    const { code } = await place.run(
      ['sh', '-c', 'stat -L -c %F /dev/stdin /dev/stderr > kinds; cat; sleep 0.2; echo end'],
      {
        stdin: openSync(input, 'r'),
        stdout: out,
        stderr: out,
      },
    );
    expect(code).toBe(0);
    expect(readFileSync(join(place.workspace, 'kinds'), 'utf8')).toBe('fifo\nfifo\n');
    expect(Bun.hash(readFileSync(output))).toBe(Bun.hash(Buffer.concat([bytes, Buffer.from('end\n')])));
  });

  test('has an environment without ways around the fence', async () => {
    const environment = {
      HTTPS_PROXY: 'http://p:1',
      SSH_AUTH_SOCK: '/s',
      MY_TOKEN: 'x',
      BUN_OPTIONS: '--version',
      KEPT: 'yes',
    };
    const { stdout, notices } = await place.run(['env'], { environment });
    expect(stdout).toContain('KEPT=yes\n');
    expect(stdout).toContain('BUN_OPTIONS=--version\n');
    expect(stdout).toContain('CLAWCTL_EGRESS=http://clawctl.internal/\n');
    expect(stdout).not.toMatch(/PROXY|SSH_AUTH/);
    expect(notices.join()).toContain('MY_TOKEN');
  });

  test('works in a copy where the working directory is the home, and only reads where it holds our state', async () => {
    const inHome = await place.run(['sh', '-c', 'echo x > here; cat here'], { cwd: place.home });
    expect(inHome.stdout).toBe('x\n');
    expect(inHome.notices.join()).toContain('is your home');
    expect(existsSync(join(place.home, 'here'))).toBe(false);
    const above = await place.run(['sh', '-c', 'echo x > here'], { cwd: place.folder });
    expect(above.code).not.toBe(0);
    expect(above.notices.join()).toContain('read-only');
    symlinkSync(place.home, join(place.workspace, 'link'));
    const linked = await place.run(['true'], { writes: [join(place.workspace, 'link')] });
    expect(linked.failure?.message).toContain('symbolic link');
  });

  test('lists files that tools execute when they have changed', async () => {
    const plant =
      'mkdir -p .git/hooks; echo x > .git/hooks/post-checkout; echo x > .envrc; echo x > harmless.txt';
    const { changed } = await place.run(['sh', '-c', plant]);
    expect(changed).toEqual(['.envrc', '.git/hooks/post-checkout']);
  });

  test('cannot be launched inside a fence', async () => {
    const script = `const { launch } = await import(${JSON.stringify(`${import.meta.dir}/launch.ts`)}); await launch({ environment: process.env }).catch((e) => console.log(e.message))`;
    expect((await place.runScript(script)).stdout).toContain('already runs inside a fence');
  });
});
