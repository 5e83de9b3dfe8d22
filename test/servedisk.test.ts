/** A disk that fills under a gateway: what cannot be recorded does not go out, what is open goes on, all is counted. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { canMount, seenBy, withMounts } from './rig/mounts.ts';
import { connectBy, freePort, openService, type Service } from './rig/service.ts';
import { openWitness, until, type Witness } from './rig/witness.ts';

const RECOVERY_MILLISECONDS = 2_000;

let service: Service;
let forbidden: Witness;
let port: number;
let forbiddenPort: number;
beforeEach(() => {
  service = openService();
  port = freePort();
  forbiddenPort = freePort();
  forbidden = openWitness('127.0.0.1', forbiddenPort);
  service.writePolicy(`version: 1
allow:
  - {host: origin.test, ports: [${service.origin}], addresses: [127.0.0.0/8]}
hosts: {origin.test: 127.0.0.1, evil.test: 127.0.0.1}
agents: {bot: {from: [127.0.0.0/8], limits: {connections_per_second: 100000}}}
`);
});
afterEach(async () => {
  forbidden.close();
  await service.close();
});

const target = () => `origin.test:${service.origin}`;

/** Connects all the time, by turns to what is allowed and to what is not; every answer is kept. */
function keepAsking() {
  const answers: string[] = [];
  let stopped = false;
  const one = async () => {
    while (!stopped)
      for (const host of [target(), `evil.test:${forbiddenPort}`]) {
        const tunnel = await connectBy({ port }, host).catch(() => null);
        if (tunnel === null) return;
        if (tunnel.answer === '200') await tunnel.read();
        answers.push(tunnel.answer);
        tunnel.close();
      }
  };
  const all = Promise.all([one(), one()]);
  const count = (answer: string) => answers.filter((each) => each === answer).length;
  return {
    answers,
    count,
    /** Resolves after so many more of these answers. */
    async more(answer: string, more: number) {
      const enough = count(answer) + more;
      if (!(await until(() => count(answer) >= enough, 10_000)))
        throw new Error(`'${answer}' did not come: ${answers.slice(-6).join(', ')}`);
    },
    async stop() {
      stopped = true;
      await all;
    },
  };
}

describe.skipIf(!canMount)('a disk that fills', () => {
  test.each([
    ['one worker', '1'],
    ['two workers', '2'],
  ])(
    'under %s stops what is new, nothing that is open, and no count',
    async (_, workers) => {
      const state = service.environment.XDG_STATE_HOME!;
      const mount = withMounts(`mount -t tmpfs -o size=8m,mode=700 none ${state}`);
      const child = await service.serveBy(mount, '--listen', `127.0.0.1:${port}`, '--workers', workers);
      const disk = `/proc/${child.pid}/root${state}`;
      const held = await connectBy({ port }, target());
      const closing = await connectBy({ port }, target());
      expect([await held.read(), await closing.read()]).toEqual(['hello\n', 'hello\n']);
      const clients = keepAsking();
      await clients.more('200', 20);

      expect(() => writeFileSync(join(disk, 'fill'), Buffer.alloc(16 << 20))).toThrow('ENOSPC');
      await clients.more('503 audit-unavailable', 1);
      const reached = service.visits();
      const before = clients.count('200');
      await clients.more('503 audit-unavailable', 50);
      expect(service.visits() - reached).toBeLessThanOrEqual(clients.count('200') - before);
      const full = await service.until(({ problems }) => problems.length > 0);
      expect(full.problems.join()).toContain('the store cannot be written');
      held.write('still here');
      expect(await held.read()).toBe('still here');
      closing.write('the last');
      expect(await closing.read()).toBe('the last');
      closing.close();

      rmSync(join(disk, 'fill'));
      const freed = performance.now();
      await clients.more('200', 1);
      expect(performance.now() - freed).toBeLessThan(RECOVERY_MILLISECONDS);
      await clients.more('200', 20);
      await clients.stop();
      held.write('and still');
      expect(await held.read()).toBe('and still');
      held.close();

      expect(new Set(clients.answers)).toEqual(new Set(['200', '403 no-rule', '503 audit-unavailable']));
      expect(forbidden.visits).toEqual([]);
      const allowed = clients.count('200') + 2;
      expect(service.visits()).toBe(allowed);
      const expected = {
        requests: clients.answers.length + 2,
        allowed,
        blocked: clients.answers.length + 2 - allowed,
        failed: 0,
        bytes_up: service.received(),
      };
      let stats = {};
      await until(async () => {
        const { out } = await service.clawctlBy(seenBy(child.pid), 'stats', '--json');
        const { requests, allowed, blocked, failed, bytes_up } = JSON.parse(out);
        stats = { requests, allowed, blocked, failed, bytes_up };
        return Bun.deepEquals(stats, expected);
      });
      expect(stats).toEqual(expected);
      const { workers: processes, ready } = await service.condition();
      expect(ready).toBe(true);
      expect(processes.map(({ restarts }) => restarts)).toEqual(processes.map(() => 0));
    },
    30_000,
  );
});
