/**
 * Nothing gets out by another way. Every attack runs twice: without a fence, where it must work (or it proves
 * nothing), and inside one, where it must not.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type Attack, KERNEL_ATTACKS, NETWORK_ATTACKS } from './rig/attacks.ts';
import { type Finished, finish, inRig, openWorld, type World } from './rig/world.ts';

const POLICY = 'version: 1\nallow: [allowed.test]\n';
const isRoot = process.getuid?.() === 0;

describe.skipIf(!inRig)('a way out that does not work', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  const unfenced = (command: string[]) =>
    finish(
      Bun.spawn(command, {
        env: world.environment,
        cwd: world.workspace,
        stdin: 'pipe',
        stdout: 'pipe',
        stderr: 'pipe',
      }),
    );

  const forget = () => {
    for (const list of [world.sink.arrivals, world.nameServer.questions, world.origins.hosts])
      list.length = 0;
  };

  function escaped(attack: Attack, done: Finished): boolean {
    switch (attack.proof) {
      case 'prints OUT':
        return done.stdout.includes('OUT');
      case 'reaches the sink':
        return world.sink.arrivals.length > 0;
      case 'is asked of the name server':
        return world.nameServer.questions.length > 0;
      case 'reaches the origin as evil.test':
        return world.origins.hosts.includes('evil.test');
    }
  }

  for (const attack of [...NETWORK_ATTACKS, ...KERNEL_ATTACKS]) {
    test(attack.title, async () => {
      forget();
      const control = await unfenced(attack.command);
      if (isRoot || attack.controlNeedsRoot !== true) {
        if (!escaped(attack, control) && attack.proof === 'prints OUT')
          console.warn(
            `control: this machine itself refuses ${attack.title}: ${control.stdout}${control.stderr}`,
          );
        else expect(escaped(attack, control)).toBe(true);
      }
      // Or what it sent would pass for the fenced one's.
      await world.sink.idle();
      forget();
      const done = await world.fenced(POLICY, attack.command);
      expect(done.code).not.toBe(125); // the attack did run
      expect(escaped(attack, done)).toBe(false);
      expect(world.sink.arrivals).toEqual([]);
    });
  }

  test('an allowed host still answers after all that', async () => {
    const done = await world.fenced(POLICY, ['curl', '-sS', 'https://allowed.test/hello']);
    expect(done.stdout).toStartWith('hello from allowed.test');
  });
});
