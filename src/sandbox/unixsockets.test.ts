import { afterAll, beforeAll, expect, test } from 'bun:test';
import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { specialFiles } from './special.ts';
import { admittedSocket, openSocketPaths } from './unixsockets.ts';

let folder: string;
const servers: Server[] = [];
const listen = (name: string) =>
  new Promise<string>((resolve) => {
    const path = join(folder, name);
    servers.push(createServer().listen(path, () => resolve(path)));
  });
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'clawctl-test-')));
});
afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true });
});

test('every socket with a path is found, with spaces in it too', async () => {
  const paths = [await listen('plain.sock'), await listen('with spaces .sock')];
  expect(openSocketPaths()).toEqual(expect.arrayContaining(paths));
});

test('a relative path is looked for in every process’s working directory', async () => {
  await listen('relative.sock');
  const before = process.cwd();
  process.chdir(folder);
  const table = `Num RefCount\n0000000000000000: 00000002 00000000 00010000 0001 01 4711 relative.sock`;
  const found = openSocketPaths(table);
  process.chdir(before);
  expect(found).toContain(join(folder, 'relative.sock'));
});

test('abstract names and what is no socket any more are left out', () => {
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  writeFileSync(join(empty, 'file'), '');
  const line = (name: string) => `0000000000000000: 00000002 00000000 00010000 0001 01 4711 ${name}`;
  expect(
    openSocketPaths(`head\n${line('@abstract')}\n${line(`${empty}/file`)}\n${line(`${empty}/gone`)}\n`),
  ).toEqual([]);
});

test('a socket is found under its new name', async () => {
  renameSync(await listen('old.sock'), join(folder, 'new.sock'));
  expect(openSocketPaths()).toContain(join(folder, 'new.sock'));
});

test('sockets of another network namespace are found', async () => {
  const path = join(folder, 'elsewhere.sock');
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`;
  const user = process.getuid?.() === 0 ? [] : ['--user'];
  const child = Bun.spawn(['unshare', ...user, '--net', process.execPath, '-e', script], { stdout: 'pipe' });
  const { value } = await child.stdout.getReader().read();
  if (value !== undefined) expect(openSocketPaths()).toContain(path);
  else console.warn('skipped: no network namespace can be made here');
  child.kill();
  await child.exited;
});

test('sockets and FIFOs in a folder are found, whatever bytes their names have', async () => {
  const socket = await listen('inner.sock');
  Bun.spawnSync(['sh', '-c', 'mkdir -p "$0/a/b" && mkfifo "$0/a/b/fifo" "$(printf "$0/a/\\377")"', folder]);
  const found = specialFiles([folder]);
  expect(found).toEqual(expect.arrayContaining([socket, `${folder}/a/b/fifo`, `${folder}/a/\u00ff`]));
});

test('a socket that commands the machine is let in only by force, ours never', async () => {
  const plain = await listen('database.sock');
  const docker = await listen('docker.sock');
  symlinkSync('docker.sock', join(folder, 'harmless'));
  expect(admittedSocket({ path: plain, force: false }, [])).toBe(plain);
  expect(() => admittedSocket({ path: docker, force: false }, [])).toThrow('can leave the fence');
  expect(() => admittedSocket({ path: join(folder, 'harmless'), force: false }, [])).toThrow(
    'can leave the fence',
  );
  expect(admittedSocket({ path: docker, force: true }, [])).toBe(docker);
  expect(() => admittedSocket({ path: plain, force: true }, [folder])).toThrow('clawctl itself');
  expect(() => admittedSocket({ path: join(folder, 'file'), force: true }, [])).toThrow('no socket');
});
