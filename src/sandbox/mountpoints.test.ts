import { expect, test } from 'bun:test';
import { aliasesOf, mountPoints } from './mountpoints.ts';

const line = (device: string, root: string, path: string) =>
  `36 35 ${device} ${root} ${path} rw,noatime master:1 - ext3 /dev/root rw,errors=continue`;

test('the kernel’s table is read, with what it escapes', () => {
  expect(mountPoints(`${line('98:0', '/mnt1', '/mnt\\0402')}\n`)).toEqual([
    { path: '/mnt 2', root: '/mnt1', device: '98:0', type: 'ext3' },
  ]);
});

test('what a file system mounted twice shows has two paths', () => {
  const table = [
    line('8:1', '/', '/'),
    line('8:2', '/', '/no-home'),
    line('8:2', '/ann', '/no-work'),
    line('8:2', '/bob', '/no-other'),
    line('8:3', '/', '/no-else'),
  ].join('\n');
  const aliases = (path: string) => aliasesOf(path, mountPoints(table));
  expect(aliases('/no-home/ann/.config')).toEqual(['/no-work/.config']);
  expect(aliases('/no-work/.config')).toEqual(['/no-home/ann/.config']);
  expect(aliases('/no-home')).toEqual([]);
  expect(aliases('/no-else/x')).toEqual([]);
});

test('a path that something else has been mounted over is no alias', () => {
  const table = [line('8:1', '/', '/'), line('8:1', '/etc', '/usr')].join('\n');
  expect(aliasesOf('/etc', mountPoints(table))).toEqual([]);
});
