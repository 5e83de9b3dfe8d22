/** A wall clock that is set an hour forward, and back, under a gateway: what the calendar says changes, nothing else. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { canSetClock, openClock, type SettableClock } from './rig/clock.ts';
import { seenBy } from './rig/mounts.ts';
import { type NameServer, openNameServer } from './rig/nameserver.ts';
import { connectBy, freePort, openService, type Process, type Service } from './rig/service.ts';
import { until } from './rig/witness.ts';
import { inRig } from './rig/world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const RECOVERY_MILLISECONDS = 2_000;
/** Half an hour before midnight, so that an hour leads over it. */
const EVENING = Date.parse('2027-05-04T23:30:00Z');

let service: Service;
let clock: SettableClock;
let names: NameServer;
let port: number;
let child: Process;

describe.skipIf(!inRig || !canSetClock)('a clock that is set', () => {
  beforeEach(async () => {
    service = openService();
    clock = openClock(service.folder);
    clock.set(EVENING);
    names = await openNameServer();
    for (const name of ['always.test', 'evening.test', 'named.test']) names.names.set(name, ['127.0.0.1']);
    port = freePort();
  });
  afterEach(async () => {
    await service.close();
    names.close();
    clock.close();
  });

  const allow = (host: string, more = '') =>
    `  - {host: ${host}, ports: [${service.origin}], addresses: [127.0.0.0/8]${more}}\n`;
  const policy = (rules: string, rest = '', limits = '') => `version: 1
dns: {upstream: 127.0.0.1}
allow:
${rules}agents: {bot: {from: [127.0.0.0/8], limits: {connections_per_second: 100000${limits}}}}
${rest}`;
  const serve = async (text: string, ...words: string[]) => {
    service.writePolicy(text);
    child = await service.serveBy(clock.by, '--listen', `127.0.0.1:${port}`, '--workers', '2', ...words);
  };
  const open = (host: string) => connectBy({ port }, `${host}:${service.origin}`);
  const ask = async (host: string) => {
    const tunnel = await open(host);
    tunnel.close();
    return tunnel.answer;
  };
  const held = async (host: string) => {
    const tunnel = await open(host);
    expect([tunnel.answer, await tunnel.read()]).toEqual(['200', 'hello\n']);
    return tunnel;
  };
  /** Of commands that live by the same clock. */
  const answered = async (...words: string[]) =>
    JSON.parse((await service.clawctlBy(seenBy(child.pid), ...words, '--json')).out);

  test('ends rules that end meanwhile, within 2 s, and interrupts nobody else', async () => {
    await serve(policy(allow('always.test') + allow('evening.test', ', until: 2027-05-05T00:00:00Z')));
    const asked = { count: 0, longest: 0, wrong: new Set<string>() };
    let isOver = false;
    const asking = (async () => {
      while (!isOver) {
        const began = performance.now();
        const answer = await ask('always.test').catch(() => 'gone');
        if (answer === 'gone') return;
        asked.longest = Math.max(asked.longest, performance.now() - began);
        asked.count++;
        if (answer !== '200') asked.wrong.add(answer);
      }
    })();
    const always = await held('always.test');
    let allowed = 1;
    let refused = 0;
    const stays = async () => {
      always.write('still here');
      expect(await always.read()).toBe('still here');
    };
    for (const time of [EVENING + HOUR, EVENING, EVENING + HOUR, EVENING - HOUR, EVENING]) {
      const ending = await held('evening.test');
      allowed++;
      const set = performance.now();
      clock.set(time);
      if (time > EVENING) {
        expect(await ending.ended).toBe('reset');
        expect(performance.now() - set).toBeLessThan(RECOVERY_MILLISECONDS);
        expect(await ask('evening.test')).toBe('403 expired');
        refused++;
        await stays();
        clock.set(EVENING);
      } else {
        ending.write('still here');
        expect(await ending.read()).toBe('still here');
        ending.close();
      }
      expect(await ask('evening.test')).toBe('200');
      allowed++;
      await stays();
      expect(performance.now() - set).toBeLessThan(RECOVERY_MILLISECONDS + 1_000);
    }
    isOver = true;
    await asking;
    always.close();
    expect([...asked.wrong]).toEqual([]);
    expect(asked.longest).toBeLessThan(RECOVERY_MILLISECONDS);
    expect(new Set(names.questions)).toEqual(new Set(['always.test', 'evening.test']));
    const { workers } = await service.condition();
    expect(workers.map(({ restarts }) => restarts)).toEqual([0, 0]);
    // From an hour ahead all of it lies in the past.
    clock.set(EVENING + HOUR);
    const expected = {
      requests: asked.count + allowed + refused,
      allowed: asked.count + allowed,
      blocked: refused,
    };
    let stats = {};
    await until(async () => {
      const { requests, allowed, blocked } = await answered('stats', '--last', '1d');
      stats = { requests, allowed, blocked };
      return Bun.deepEquals(stats, expected);
    });
    expect(stats).toEqual(expected);
  }, 30_000);

  test("gives no day's octets twice, by whatever way it comes to that day, and whoever starts anew in it", async () => {
    const text = policy(allow('always.test'), '', ', bytes_up: 1 KB/day');
    await serve(text, '--drain', '100ms');
    const octets = 'x'.repeat(700);
    const sends = async () => {
      const tunnel = await held('always.test');
      tunnel.write(octets);
      const heard = await tunnel.read();
      tunnel.close();
      return heard === octets;
    };
    const again = async () => {
      child.kill('SIGTERM');
      await child.exited;
      await serve(text, '--drain', '100ms');
    };
    expect([await sends(), await sends()]).toEqual([true, false]);
    clock.set(EVENING + HOUR);
    expect([await sends(), await sends()]).toEqual([true, false]);
    clock.set(EVENING);
    expect(await sends()).toBe(false);
    await again();
    expect(await sends()).toBe(false);
    clock.set(EVENING + HOUR);
    expect(await sends()).toBe(false);
    await again();
    expect(await sends()).toBe(false);
    clock.set(EVENING + 24 * HOUR + HOUR);
    expect([await sends(), await sends()]).toEqual([true, false]);
    expect(service.received()).toBe(3 * octets.length);
  }, 30_000);

  test('keeps no alert from firing, then or later, and fires none by itself', async () => {
    const alert = "{ name: knocking, condition: 'blocked_requests > 2 in 1 minute', cooldown: 5 minutes }";
    const quiet = "{ name: quiet, condition: 'allowed_requests == 0 in 10 minutes' }";
    await serve(policy(allow('always.test'), `alerts: [${alert}, ${quiet}]\n`));
    const fired = async (count: number) => {
      let items: { alert: string; state: string }[] = [];
      const isThere = await until(async () => {
        const found = (await answered('alerts', 'history', '--last', '7d')) as { items: typeof items };
        items = found.items;
        return items.filter(({ alert }) => alert === 'knocking').length >= count;
      }, 10_000);
      expect(isThere).toBe(true);
      return items.filter(({ alert }) => alert !== 'knocking').map(({ alert }) => alert);
    };
    let count = 0;
    // In no minute twice: what it held then would hold again.
    for (const minutes of [0, 60, 2, -60, 4]) {
      clock.set(EVENING + minutes * MINUTE);
      expect(await ask('always.test')).toBe('200');
      for (let each = 0; each < 3; each++) expect(await ask('evil.test')).toBe('403 no-rule');
      count++;
      expect(await fired(count)).toEqual([]);
    }
  }, 60_000);
});
