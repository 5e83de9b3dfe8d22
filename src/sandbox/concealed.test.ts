import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentialStores } from './credentials.ts';
import { concealed } from './hidden.ts';

let store: string;
const at = (...names: string[]) => names.map((name) => join(store, name));
beforeAll(() => {
  store = realpathSync(mkdtempSync(join(tmpdir(), 'clawctl-test-')));
  mkdirSync(join(store, 'deep'));
  for (const path of at('key', 'config', 'deep/a', 'deep/b')) writeFileSync(path, '');
});
afterAll(() => rmSync(store, { recursive: true }));

test('a store of which nothing is shown is hidden whole', () => {
  expect(concealed(store, [])).toEqual([store]);
  expect(concealed(store, ['/elsewhere', `${store}x`])).toEqual([store]);
});

test('a store that is shown, or lies in what is shown, is not hidden', () => {
  expect(concealed(store, [store])).toEqual([]);
  expect(concealed(store, [tmpdir()])).toEqual([]);
});

test('what lies beside a part that is shown stays hidden', () => {
  expect(concealed(store, at('config')).sort()).toEqual(at('deep', 'key'));
  expect(concealed(store, at('deep/a')).sort()).toEqual(at('config', 'deep/b', 'key'));
});

test('npm’s settings are hidden only where they hold a credential', () => {
  const hidden = () => credentialStores([store], 1000).includes(join(store, '.npmrc'));
  writeFileSync(join(store, '.npmrc'), 'fund=false\n');
  expect(hidden()).toBe(false);
  writeFileSync(join(store, '.npmrc'), '//registry.test/:_authToken=abc\n');
  expect(hidden()).toBe(true);
  rmSync(join(store, '.npmrc'));
});

test('root’s own secrets are hidden where root runs the fence', () => {
  expect(credentialStores([], 0)).toContain('/etc/shadow');
  expect(credentialStores([], 1000)).toEqual([]);
});
