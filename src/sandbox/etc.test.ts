import { expect, test } from 'bun:test';
import { lstatSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fenceFiles } from './etc.ts';
import { isEmptyAt } from './mounts.ts';

test('names are looked up at the fence alone, without domains to search', () => {
  const files = fenceFiles(() => false);
  const content = (name: string) => files.find(({ target }) => target === realpathSync(name))?.content;
  expect(content('/etc/resolv.conf')).toMatch(/^nameserver 127\.0\.0\.1\nsearch \.\noptions ndots:1/);
  expect(content('/etc/hosts')).not.toMatch(/\d\s+(?!localhost|ip6-)\S/);
  expect(content('/etc/nsswitch.conf')).toContain('hosts: files dns\n');
});

test('they lie where links lead to, so that no link remains in their place', () => {
  for (const { target } of fenceFiles(() => true))
    expect(lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink() ?? false).toBe(false);
});

test('one that is not there yet is made where links lead to, and never for links that lead nowhere', () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'clawctl-test-')));
  const at = (name: string) => join(folder, name);
  symlinkSync('run/resolve/file', at('relative'));
  symlinkSync(at('relative'), at('absolute'));
  symlinkSync('round', at('round'));
  const targets = (isEmpty: boolean) =>
    fenceFiles(
      () => isEmpty,
      ['relative', 'absolute', 'round', 'missing'].map((name) => [at(name), ''] as const),
    ).map(({ target }) => target);
  expect(targets(true)).toEqual([at('run/resolve/file'), at('run/resolve/file'), at('missing')]);
  expect(targets(false)).toEqual([]);
  rmSync(folder, { recursive: true });
});

test('one is made only where a folder of the fence’s own is empty, never in what is shown there', () => {
  const own = { path: '/run', bytes: 1, mode: 0o755 };
  const shown = { path: '/run/shown', writable: true, staged: null };
  const plan = { private: [own], shown: [shown] };
  expect(isEmptyAt(plan, '/run/systemd/resolve/stub-resolv.conf')).toBe(true);
  expect(isEmptyAt(plan, '/run/shown/resolve/stub-resolv.conf')).toBe(false);
  expect(isEmptyAt(plan, '/etc/resolv.conf')).toBe(false);
});
