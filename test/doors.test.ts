/** Ways to a program outside that pass no network: UNIX sockets, FIFOs, and what came as stdin or stdout. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmodSync, closeSync, constants, openSync, readFileSync, readSync, renameSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { createPerson, type Person, python, USERS, whyNoFence } from './rig/person.ts';

const reason = await whyNoFence();
if (reason !== null) console.warn(`skipped: no fence can be built here: ${reason}`);
const isRoot = process.getuid!() === 0;

const connecting = (path: string) =>
  python(`
import socket
s = socket.socket(socket.AF_UNIX)
s.connect("${path.replace('\0', '\\0')}"); print("OUT")`);

describe.skipIf(reason !== null).each([...USERS])('as %s, a UNIX socket', (user) => {
  let person: Person;
  const servers: Server[] = [];
  beforeAll(() => {
    person = createPerson(user);
  });
  afterAll(() => {
    for (const server of servers) server.close();
    person.leave();
  });

  async function listen(path: string): Promise<string> {
    const server = createServer((socket) => socket.end());
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    if (path.startsWith('/')) chmodSync(path, 0o777);
    return path;
  }

  async function leadsNowhere(path: string): Promise<void> {
    expect((await person.unfenced(connecting(path))).out).toBe('OUT\n');
    const { out, err } = await person.fenced(`${connecting(path)}; echo ended`);
    expect(out).toBe('ended\n');
    expect(err).toMatch(/Connection refused|No such file/);
  }

  test('with an abstract name leads nowhere', async () => {
    await leadsNowhere(await listen(`\0clawctl-test-${process.pid}-${user}`));
  });

  test('in the home, in a visible folder and in the workspace leads nowhere', async () => {
    for (const folder of [person.home, person.folder, person.workspace])
      await leadsNowhere(await listen(join(folder, 'plain.sock')));
  });

  test('that was renamed leads nowhere', async () => {
    renameSync(await listen(join(person.folder, 'before.sock')), join(person.folder, 'after.sock'));
    await leadsNowhere(join(person.folder, 'after.sock'));
  });

  test('of a program in another network namespace leads nowhere', async () => {
    const path = join(dirname(person.put(join(person.folder, 'elsewhere/x'))), 'socket');
    const listening = `require('net').createServer((s) => s.end()).listen('${path}', () => { require('fs').chmodSync('${path}', 0o777); console.log('up'); })`;
    const unshare = ['unshare', ...(isRoot ? [] : ['--user', '--map-current-user']), '--net'];
    const other = Bun.spawn([...unshare, process.execPath, '-e', listening], { stdout: 'pipe' });
    try {
      expect(Buffer.from((await other.stdout.getReader().read()).value ?? []).toString()).toBe('up\n');
      await leadsNowhere(path);
    } finally {
      other.kill();
      await other.exited;
    }
  });

  test('is reached where --socket lets it in, and only that one', async () => {
    const one = await listen(join(person.folder, 'one.sock'));
    const other = await listen(join(person.folder, 'other.sock'));
    const flags = ['--socket', one];
    expect((await person.fenced(connecting(one), { flags })).out).toBe('OUT\n');
    expect((await person.fenced(connecting(other), { flags })).out).toBe('');
  });

  test('of docker, systemd or D-Bus is let in only by force', async () => {
    const path = await listen(join(person.folder, 'docker.sock'));
    const refused = await person.fenced('true', { flags: ['--socket', path] });
    expect([refused.code, refused.err]).toEqual([125, expect.stringContaining('--force')]);
    const forced = await person.fenced(connecting(path), { flags: ['--socket', path, '--force'] });
    expect(forced.out).toBe('OUT\n');
  });
});

describe.skipIf(reason !== null).each([...USERS])('as %s, a FIFO that somebody outside reads', (user) => {
  let person: Person;
  beforeAll(() => {
    person = createPerson(user);
  });
  afterAll(() => person.leave());

  for (const place of ['folder', 'home', 'workspace'] as const)
    test(`takes nothing from a fence: in the ${place === 'folder' ? 'open, read-only' : place}`, async () => {
      const path = join(person[place], 'fifo');
      Bun.spawnSync(['mkfifo', '-m', '666', path]);
      const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
      const heard = () => {
        try {
          const bytes = Buffer.alloc(100);
          return bytes.toString('utf8', 0, readSync(reader, bytes));
        } catch {
          return ''; // EAGAIN
        }
      };
      const write = python(`
import os
os.write(os.open("${path}", os.O_WRONLY | os.O_NONBLOCK), b"secret")`);
      await person.unfenced(write);
      expect(heard()).toBe('secret');
      expect((await person.fenced(`${write}; echo ended`)).out).toBe('ended\n');
      expect(heard()).toBe('');
      closeSync(reader);
    });
});

/** A program that is given a connection to `port` as stdin, as inetd would, then becomes `command`. */
const withSocket = (port: number, command: readonly string[]) =>
  `import os, socket, sys
s = socket.create_connection(("127.0.0.1", ${port}))
os.dup2(s.fileno(), 0); os.set_inheritable(0, True)
command = ${JSON.stringify(command)}
os.execvp(command[0], command)`;

describe.skipIf(reason !== null).each([...USERS])('as %s, a command', (user) => {
  let person: Person;
  beforeAll(() => {
    person = createPerson(user);
  });
  afterAll(() => person.leave());

  const outside = (script: string, flags?: readonly string[]) =>
    person.command(script, flags === undefined ? {} : { flags });
  const spawn = (command: readonly string[], stdio: ['ignore' | number, 'pipe' | number]) =>
    Bun.spawn([...command], { cwd: person.workspace, env: person.environment, stdio: [...stdio, 'ignore'] });

  test('cannot connect a socket that came as stdin to somewhere else', async () => {
    const visits: string[] = [];
    const first = createServer().listen(0, '127.0.0.1');
    const second = createServer((socket) => {
      visits.push('second');
      socket.end();
    }).listen(0, '127.0.0.1');
    const port = (server: Server) => (server.address() as { port: number }).port;
    const attack = python(`
import ctypes, socket, struct
libc = ctypes.CDLL(None)
libc.connect(0, struct.pack("H14x", 0), 16)
s = socket.socket(fileno=0)
s.connect(("127.0.0.1", ${port(second)})); print("OUT")`);
    const run = async (flags?: string[]) => {
      const launcher = ['/usr/bin/python3', '-c', withSocket(port(first), outside(attack, flags))];
      const child = spawn(launcher, ['ignore', 'pipe']);
      return [await new Response(child.stdout as ReadableStream).text(), await child.exited] as const;
    };
    expect((await run())[0]).toBe('OUT\n');
    expect(visits).toEqual(['second']);
    const [out, code] = await run(['--quiet']);
    expect([out, code]).toEqual(['', 1]);
    expect(visits).toEqual(['second']);
    for (const server of [first, second]) server.close();
  });

  test('cannot write to a file that came as stdin, nor cut one that came as stdout', async () => {
    const file = person.put(join(person.folder, 'log'), 'kept\n');
    const attempt = async (script: string, mode: string, flags?: string[]) => {
      person.put(file, 'kept\n');
      const fd = openSync(file, mode);
      const child = spawn(outside(script, flags), mode === 'r' ? [fd, 'pipe'] : ['ignore', fd]);
      closeSync(fd);
      await child.exited;
      return readFileSync(file, 'utf8');
    };
    const write = 'echo changed 1<>/proc/self/fd/0 >&0 2>/dev/null; echo changed > /proc/self/fd/0';
    const cut = ': > /proc/self/fd/1';
    const fenced = ['--quiet'];
    expect(await attempt(write, 'r')).toContain('changed');
    expect(await attempt(write, 'r', fenced)).toBe('kept\n');
    expect(await attempt(cut, 'a')).toBe('');
    expect(await attempt(cut, 'a', fenced)).toBe('kept\n');
  });

  test('has no descriptor but 0, 1 and 2', async () => {
    const secret = openSync(person.put(join(person.folder, 'secret'), 'secret'), 'r');
    // By the time it looks, the shell has closed what it listed the folder with.
    const list = 'for f in /proc/$$/fd/*; do [ -e $f ] && basename $f; done';
    const open = async (flags?: string[]) => {
      const child = Bun.spawn(outside(list, flags), {
        cwd: person.workspace,
        env: person.environment,
        stdio: ['ignore', 'pipe', 'ignore', secret],
      });
      return await new Response(child.stdout).text();
    };
    expect(await open()).toBe('0\n1\n2\n3\n');
    expect(await open(['--quiet'])).toBe('0\n1\n2\n');
    closeSync(secret);
  });
});
