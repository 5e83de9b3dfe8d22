import { describe, expect, test } from 'bun:test';
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Failure } from '../base/failure.ts';
import { ruleCount } from '../policy/policy.ts';
import { temporaryFolder } from './folder.fixture.ts';
import type { LoadedPolicy } from './load.ts';
import { watchPolicy } from './watch.ts';

type Seen = { loaded: LoadedPolicy } | { failure: Failure };

/** Watches, and gives what is seen next, one at a time. */
function watching(place: ReturnType<typeof temporaryFolder>, policyFile?: string) {
  const seen: Seen[] = [];
  let wake = () => {};
  const see = (each: Seen) => {
    seen.push(each);
    wake();
  };
  const watch = watchPolicy(
    policyFile === undefined ? place : { ...place, policyFile },
    (loaded) => see({ loaded }),
    (failure) => see({ failure }),
  );
  return {
    async next(): Promise<Seen> {
      if (seen.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return seen.shift()!;
    },
    async rules(): Promise<number> {
      const each = await this.next();
      if ('failure' in each) throw each.failure;
      return ruleCount(each.loaded.policy);
    },
    async failure(): Promise<Failure> {
      const each = await this.next();
      if ('loaded' in each) throw new Error('it loaded');
      return each.failure;
    },
    seen,
    [Symbol.dispose]: () => watch.close(),
  };
}

describe('a policy that changes', () => {
  test('is taken when the file appears, is rewritten, or is replaced by rename, within a second', async () => {
    using place = temporaryFolder();
    using watch = watching(place);
    const { policy } = place.paths;
    const start = performance.now();
    mkdirSync(dirname(policy));
    writeFileSync(policy, 'allow: [a.com]');
    expect(await watch.rules()).toBe(1);
    writeFileSync(policy, 'allow: [a.com, b.com]');
    expect(await watch.rules()).toBe(2);
    writeFileSync(`${policy}.new`, 'allow: [a.com, b.com, c.com]');
    renameSync(`${policy}.new`, policy);
    expect(await watch.rules()).toBe(3);
    expect(performance.now() - start).toBeLessThan(3_000);
  });

  test('to something broken is told, and the next good one taken', async () => {
    using place = temporaryFolder();
    const { policy } = place.paths;
    mkdirSync(dirname(policy));
    writeFileSync(policy, 'allow: [a.com]');
    using watch = watching(place);
    writeFileSync(policy, 'alow: [a.com, b.com]');
    expect(await watch.failure()).toMatchObject({ code: 'policy-broken' });
    unlinkSync(policy);
    expect(await watch.failure()).toMatchObject({ code: 'policy-missing' });
    writeFileSync(policy, 'allow: [a.com, b.com]');
    expect(await watch.rules()).toBe(2);
    rmSync(dirname(policy), { recursive: true });
    expect(await watch.failure()).toMatchObject({ code: 'policy-missing' });
  });

  test('in the machine-wide file counts as well', async () => {
    using place = temporaryFolder();
    using watch = watching(place);
    writeFileSync(place.paths.machinePolicy, 'deny: [a.com]');
    // With it, nothing is built in any more.
    expect(await watch.rules()).toBe(1);
    unlinkSync(place.paths.machinePolicy);
    expect(await watch.failure()).toMatchObject({ code: 'policy-missing' });
  });

  test('behind a symbolic link is seen when the link turns', async () => {
    using place = temporaryFolder();
    const [one, two, link] = ['one', 'two', 'link'].map((name) => join(place.folder, name));
    writeFileSync(one!, 'allow: [a.com]');
    writeFileSync(two!, 'allow: [a.com, b.com]');
    symlinkSync(one!, link!);
    using watch = watching(place, link!);
    symlinkSync(two!, `${link}.new`);
    renameSync(`${link}.new`, link!);
    expect(await watch.rules()).toBe(2);
  });

  test('while it is being written is not taken before it is whole', async () => {
    using place = temporaryFolder();
    const { policy } = place.paths;
    mkdirSync(dirname(policy));
    writeFileSync(policy, 'allow: [a.com]');
    using watch = watching(place);
    let text = 'allow:\n';
    for (let i = 0; i < 20; i++) {
      text += `  - h${i}.com\n`;
      writeFileSync(policy, text);
      await Bun.sleep(20);
    }
    writeFileSync(policy, `${text}deny: [h0.com]\n`);
    expect(await watch.rules()).toBe(21);
    expect(watch.seen).toEqual([]);
  });

  test('is taken though other changes keep following, if each is a file of its own', async () => {
    using place = temporaryFolder();
    const { policy } = place.paths;
    mkdirSync(dirname(policy));
    writeFileSync(policy, 'allow: [a.com]');
    using watch = watching(place);
    let count = 0;
    const storm = setInterval(() => {
      writeFileSync(`${policy}.new`, `allow: [a.com, b.com] # ${count++}`);
      renameSync(`${policy}.new`, policy);
    }, 20);
    try {
      expect(await watch.rules()).toBe(2);
    } finally {
      clearInterval(storm);
    }
  });

  test('of many rules is read on another thread', async () => {
    using place = temporaryFolder();
    using watch = watching(place);
    const rules = Array.from({ length: 20_000 }, (_, i) => `  - h${i}.example.com\n`).join('');
    mkdirSync(dirname(place.paths.policy));
    writeFileSync(place.paths.policy, `allow:\n${rules}`);
    expect(await watch.rules()).toBe(20_000);
    writeFileSync(place.paths.policy, `alow:\n${rules}`);
    expect((await watch.failure()).message).toContain("Did you mean 'allow'?");
  }, 20_000);
});
