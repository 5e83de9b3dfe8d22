import { expect, test } from 'bun:test';
import { lstatSync, realpathSync } from 'node:fs';
import { fenceFiles } from './etc.ts';

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
