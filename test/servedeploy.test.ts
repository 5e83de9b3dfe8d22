/** The examples of docs/deploy do what they say. */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { written } from '../src/cli/proxyvariables.ts';

const example = (name: string) => readFileSync(join(import.meta.dir, '../docs/deploy', name), 'utf8');

/** What a list of a unit holds in the end: an empty assignment empties it, others add (systemd.exec(5)). */
function listOf(unit: string, key: string): string[] {
  const values = [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value!);
  return values.slice(values.lastIndexOf('') + 1);
}

test('the compose file gives the agent what env prints', () => {
  const printed = written(
    { agent: 'support-bot', proxy: 'http://gateway:8880', token: null, credentials: true },
    'compose',
  );
  expect(example('compose.yaml')).toContain(printed.replace(/^/gm, '    ').trimEnd());
});

describe('the systemd unit', () => {
  const unit = example('clawctl-egress.service');
  const sets = ['AmbientCapabilities', 'CapabilityBoundingSet'];

  test('takes over from another one that runs', () => {
    expect(unit).toMatch(/^ExecStart=.* --takeover$/m);
  });

  test('has no capability', () => {
    for (const key of sets) expect([key, listOf(unit, key)]).toEqual([key, []]);
  });

  test('has the one for port 53 where its lines are uncommented', () => {
    const uncommented = unit.replace(/^#(?=\w+=CAP_NET_BIND_SERVICE$)/gm, '');
    for (const key of sets) expect([key, listOf(uncommented, key)]).toEqual([key, ['CAP_NET_BIND_SERVICE']]);
  });
});
