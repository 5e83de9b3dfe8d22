import { afterAll, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathsOf } from '../../base/paths.ts';
import { makeFolder } from '../../events/store.ts';
import { openAlertsReading } from '../reading.ts';
import { createAlerts } from './start.ts';

const folder = mkdtempSync(join(tmpdir(), 'clawctl-alerts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function withBrokenPolicy(name: string) {
  return withPolicy(name, 'alow: []\n');
}

function withPolicy(name: string, text: string) {
  const home = join(folder, name);
  const paths = pathsOf({}, home);
  makeFolder(paths.store);
  const policyFile = join(home, 'policy.yaml');
  writeFileSync(policyFile, text);
  return { paths, policyFile, alerts: createAlerts({ paths, policyFile }) };
}

test('a policy that is broken when the thread starts holds nothing up at the end', async () => {
  const { alerts } = withBrokenPolicy('broken');
  alerts.wake();
  await Bun.sleep(500); // the thread has started, and found no policy
  const began = performance.now();
  await alerts.stop();
  expect(performance.now() - began).toBeLessThan(2_000);
});

test('once it is mended alerts are evaluated', async () => {
  const { alerts, paths, policyFile } = withBrokenPolicy('mended');
  alerts.wake();
  await Bun.sleep(500); // the same
  expect(existsSync(paths.alerts)).toBe(false);
  writeFileSync(policyFile, 'version: 1\nallow: [a.test]\n');
  while (!existsSync(paths.alerts)) await Bun.sleep(20);
  await alerts.stop();
});

test('a store that is moved away under it is begun anew at once', async () => {
  const { alerts, paths, policyFile } = withPolicy('moved', 'version: 1\nallow: [a.test]\n');
  const sources = () => {
    const reading = openAlertsReading(paths.alerts);
    const found = reading?.sources() ?? [];
    reading?.close();
    return found;
  };
  alerts.wake();
  while (sources().length === 0) await Bun.sleep(20);
  for (const isLast of [false, true]) {
    renameSync(paths.alerts, `${paths.alerts}.aside-${isLast}`);
    while (sources().length === 0) await Bun.sleep(20);
    expect(sources()).toEqual([policyFile]);
  }
  await alerts.stop();
});
