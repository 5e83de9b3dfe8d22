import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentialStores } from './credentials.ts';
import { concealed } from './hidden.ts';

const storesOf = (homes: string[], uid: number, environment = {}) =>
  credentialStores({ homes, uid, environment });

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
  const hidden = () => storesOf([store], 1000).includes(join(store, '.npmrc'));
  writeFileSync(join(store, '.npmrc'), 'fund=false\n');
  expect(hidden()).toBe(false);
  writeFileSync(join(store, '.npmrc'), '//registry.test/:_authToken=abc\n');
  expect(hidden()).toBe(true);
  rmSync(join(store, '.npmrc'));
});

test('root’s own secrets are hidden where root runs the fence', () => {
  expect(storesOf([], 0)).toContain('/etc/shadow');
  expect(storesOf([], 1000)).toEqual([]);
});

test('stores are hidden where XDG variables have put them', () => {
  const stores = storesOf([], 1000, {
    XDG_CONFIG_HOME: '/c',
    XDG_DATA_HOME: '/d',
    XDG_STATE_HOME: 'relative',
  });
  expect(stores).toEqual(expect.arrayContaining(['/c/gh', '/d/keyrings']));
  expect(stores.filter((path) => !/^\/[cd]\//.test(path))).toEqual([]);
});
