import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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
  writeFileSync(join(folder, 'file'), '');
  const line = (name: string) => `0000000000000000: 00000002 00000000 00010000 0001 01 4711 ${name}`;
  expect(
    openSocketPaths(`head\n${line('@abstract')}\n${line(`${folder}/file`)}\n${line(`${folder}/gone`)}\n`),
  ).toEqual([]);
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
