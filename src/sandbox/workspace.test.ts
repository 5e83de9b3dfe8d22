import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Surroundings, workspaceAt, writtenFolder } from './workspace.ts';

const around: Surroundings = {
  layeredHome: '/home/ann',
  guarded: [
    { path: '/home/ann', name: 'your home' },
    { path: '/home/ann/.config/clawctl', name: "clawctl's configuration" },
    { path: '/srv/policies/egress.yaml', name: 'the policy' },
  ],
  sealed: [{ path: '/opt/clawctl', name: "clawctl's own program" }],
  hidden: [
    { path: '/home/ann/.config/clawctl', name: "clawctl's own files" },
    { path: '/home/ann/.ssh', name: 'a credential store' },
    { path: '/home/ann/.local/share/keyrings', name: 'a credential store' },
    { path: '/home/ann/.cargo/credentials', name: 'a credential store' },
  ],
  private: ['/tmp', '/run'],
};

test.each([
  ['/home/ann/project', 'written'],
  ['/srv/project', 'written'],
  ['/tmp/project', 'written'],
  ['/home/anna', 'written'],
  ['/', 'read-only'],
  ['/home', 'read-only'],
  ['/srv', 'read-only'],
  ['/srv/policies', 'read-only'],
  ['/opt', 'read-only'],
  ['/opt/clawctl', 'read-only'],
  ['/opt/clawctl/src', 'read-only'],
  ['/proc', 'read-only'],
  ['/dev/shm', 'read-only'],
  ['/sys/fs/cgroup', 'read-only'],
  ['/home/ann', 'layered'],
  ['/home/ann/.config', 'layered'],
  ['/home/ann/.local', 'layered'],
  ['/home/ann/.local/share', 'written'],
  ['/home/ann/.cargo', 'written'],
  ['/usr', 'read-only'],
  ['/usr/bin', 'read-only'],
  ['/usr/local', 'read-only'],
  ['/etc/cron.d', 'read-only'],
  ['/usr/src/app', 'written'],
  ['/tmp', 'private'],
  ['/run', 'private'],
] as const)('as the working directory %s is %s', (path, treatment) => {
  const workspace = workspaceAt(path, around);
  expect(workspace.treatment).toBe(treatment);
  expect(workspace.notice === null).toBe(treatment === 'written');
});

test('without a layer the home is read-only', () => {
  expect(workspaceAt('/home/ann', { ...around, layeredHome: null }).treatment).toBe('read-only');
});

test.each(['/home/ann/.ssh', '/home/ann/.ssh/keys', '/home/ann/.config/clawctl'])(
  'what is hidden, such as %s, cannot be the working directory',
  (path) => {
    expect(() => workspaceAt(path, around)).toThrow('do not see');
  },
);

let folder: string;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'clawctl-test-')));
  mkdirSync(join(folder, 'real/below'), { recursive: true });
  symlinkSync('real', join(folder, 'link'));
  writeFileSync(join(folder, 'file'), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a folder that is named plainly can be written', () => {
  const path = join(folder, 'real/below');
  expect(writtenFolder(path, around)).toBe(path);
});

test.each(['link', 'link/below'])('a symbolic link in --write %s is not followed', (name) => {
  expect(() => writtenFolder(join(folder, name), around)).toThrow('symbolic link');
});

test('what --write names must be there, a folder, and nothing that is guarded, sealed or the kernel’s', () => {
  const refused = (path: string, why: string, changes: Partial<Surroundings> = {}) =>
    expect(() => writtenFolder(path, { ...around, ...changes })).toThrow(why);
  const real = join(folder, 'real');
  refused(join(folder, 'nothing'), 'no such folder');
  refused(join(folder, 'file'), 'not a folder');
  refused('/', 'root folder');
  refused('/sys', 'kernel');
  refused(real, 'is your home', { guarded: [{ path: real, name: 'your home' }] });
  refused(folder, 'contains your home', { guarded: [{ path: real, name: 'your home' }] });
  refused(real, 'lies in the program', { sealed: [{ path: folder, name: 'the program' }] });
  refused(real, 'lies in the store', { hidden: [{ path: folder, name: 'the store' }] });
  refused(folder, 'contains', { private: [real] });
});
