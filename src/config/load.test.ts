import { describe, expect, test } from 'bun:test';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure } from '../base/failure.ts';
import { decide } from '../policy/decide.ts';
import { modeOf, rulesOf } from '../policy/policy.ts';
import { temporaryFolder } from './folder.fixture.ts';
import { type LoadedPolicy, loadPolicy, type PolicySource } from './load.ts';

const answer = ({ policy }: LoadedPolicy, name: string) =>
  decide(
    policy,
    { agent: '', host: { kind: 'name', name }, port: 443 },
    { now: 0, killed: false, grants: [] },
  ).verdict;

function failureOf(source: PolicySource): Failure {
  try {
    loadPolicy(source);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('it loaded');
}

function write(file: string, content: string | Uint8Array): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

describe('loading', () => {
  test('no file at all is the built-in policy', () => {
    using place = temporaryFolder();
    const loaded = loadPolicy(place);
    expect(loaded).toMatchObject({ builtIn: true, files: [] });
    expect(answer(loaded, 'github.com')).toBe('allow');
    expect(answer(loaded, 'attacker.com')).toBe('deny');
  });

  test('a file without presets has none', () => {
    using place = temporaryFolder();
    write(place.paths.policy, 'allow: [a.example.com]');
    const loaded = loadPolicy(place);
    expect(loaded).toMatchObject({ builtIn: false, files: [place.paths.policy] });
    expect(answer(loaded, 'a.example.com')).toBe('allow');
    expect(answer(loaded, 'github.com')).toBe('deny');
  });

  test('the machine-wide file alone is the policy, without anything built in', () => {
    using place = temporaryFolder();
    write(place.paths.machinePolicy, 'allow: [only.example.com]');
    const loaded = loadPolicy(place);
    expect(loaded).toMatchObject({ builtIn: false, files: [place.paths.machinePolicy] });
    expect([...rulesOf(loaded.policy)].map(({ host }) => host)).toEqual(['only.example.com']);
    expect(modeOf(loaded.policy)).toBe('enforce');
    // Changes are made to the own file, though it is not there yet.
    expect(loaded.policy.files).toEqual([place.paths.machinePolicy, place.paths.policy]);
  });

  test('the machine-wide file comes first', () => {
    using place = temporaryFolder();
    write(place.paths.machinePolicy, 'mode: enforce\ndeny: [github.com]');
    expect(answer(loadPolicy(place), 'github.com')).toBe('deny');
    write(place.paths.policy, 'mode: observe\nallow: [github.com]');
    expect(answer(loadPolicy(place), 'github.com')).toBe('deny');
    expect(modeOf(loadPolicy(place).policy)).toBe('enforce');
  });

  test('a locked machine-wide file leaves nothing of the built-in policy', () => {
    using place = temporaryFolder();
    write(place.paths.machinePolicy, 'locked: true\nallow: [a.example.com]');
    expect(answer(loadPolicy(place), 'github.com')).toBe('deny');
    expect(answer(loadPolicy(place), 'a.example.com')).toBe('allow');
  });

  test('--policy takes the place of the own file, and has to exist', () => {
    using place = temporaryFolder();
    const policyFile = join(place.folder, 'other.yaml');
    write(place.paths.policy, 'allow: [a.example.com]');
    expect(failureOf({ ...place, policyFile })).toMatchObject({ code: 'policy-missing', exit: 2 });
    write(policyFile, 'allow: [b.example.com]');
    const loaded = loadPolicy({ ...place, policyFile });
    expect(answer(loaded, 'a.example.com')).toBe('deny');
    expect(answer(loaded, 'b.example.com')).toBe('allow');
    expect(loaded.files).toEqual([policyFile]);
  });

  test('an error shows file, line, column, caret and fix, in either file', () => {
    using place = temporaryFolder();
    write(place.paths.policy, 'version: 1\nalow: [a.example.com]\n');
    const { code, message, exit } = failureOf(place);
    expect([code, exit]).toEqual(['policy-broken', 2]);
    expect(message).toBe(
      `${place.paths.policy}:2:1: unknown key 'alow' in the policy\n  alow: [a.example.com]\n  ^\n  Did you mean 'allow'?`,
    );
    write(place.paths.policy, 'version: 1');
    write(place.paths.machinePolicy, 'deny: github.com');
    expect(failureOf(place).message).toContain(`${place.paths.machinePolicy}:1:7`);
  });
});

describe('what is no policy file', () => {
  test('is refused with the reason', () => {
    using place = temporaryFolder();
    const file = place.paths.policy;
    const cases: ReadonlyArray<[content: string | Uint8Array, message: string]> = [
      [Uint8Array.of(0xff, 0xfe, 0x61, 0x00), 'not UTF-8'],
      [Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), 'byte order mark'],
      ['allow: [a.com]\0', 'NUL'],
      ['', 'empty'],
    ];
    for (const [content, message] of cases) {
      write(file, content);
      expect(failureOf(place)).toMatchObject({ code: 'policy-broken' });
      expect(failureOf(place).message).toContain(message);
    }
  });

  test('is refused unread where it is too large', () => {
    using place = temporaryFolder();
    write(place.paths.policy, '');
    // Nobody reads so much in that time, nor into one text.
    truncateSync(place.paths.policy, 16 * 2 ** 30);
    const start = performance.now();
    expect(failureOf(place).message).toContain('larger than 64 MiB');
    expect(performance.now() - start).toBeLessThan(100);
  });

  test('never blocks: a folder, a pipe, a device, a broken link', () => {
    using place = temporaryFolder();
    const pipe = join(place.folder, 'pipe');
    Bun.spawnSync(['mkfifo', pipe]);
    const link = join(place.folder, 'link');
    symlinkSync('/dev/zero', link);
    for (const policyFile of [place.folder, pipe, link])
      expect(failureOf({ ...place, policyFile }).message).toContain('not a regular file');
    const loop = join(place.folder, 'loop');
    symlinkSync(loop, loop);
    expect(failureOf({ ...place, policyFile: loop }).message).toContain('loop');
  });
});
