/** The kill switch: everything that leaves ends within a second, stays ended, and goes on only when a person says so. */

import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectBy, freePort, openService, type Service } from './rig/service.ts';

const SECOND = 1_000;
type Agent = 'bot' | 'other';
let service: Service;
let ports: { bot: number; other: number };
beforeEach(() => {
  service = openService();
  ports = { bot: freePort(), other: freePort() };
  service.writePolicy(POLICY());
});
afterEach(() => service.close());

const POLICY = () => `version: 1
allow:
  - {host: origin.test, ports: [${service.origin}], addresses: [127.0.0.0/8]}
hosts: {origin.test: 127.0.0.1}
listen:
  - {address: '127.0.0.1:${ports.bot}', agent: bot}
  - {address: '127.0.0.1:${ports.other}', agent: other}
`;
const by = (agent: Agent) => connectBy({ port: ports[agent] }, `origin.test:${service.origin}`);
const killFile = () => join(service.folder, 'state/clawctl/egress.kill');

/** Answers change when the switch has taken hold; how long that took, in milliseconds. */
async function untilAnswer(agent: Agent, wanted: string): Promise<number> {
  const began = performance.now();
  for (;;) {
    const tunnel = await by(agent);
    tunnel.close();
    if (tunnel.answer === wanted) return performance.now() - began;
  }
}

async function holding(agent: Agent, count: number) {
  const tunnels = await Promise.all(Array.from({ length: count }, () => by(agent)));
  for (const tunnel of tunnels) expect([tunnel.answer, await tunnel.read()]).toEqual(['200', 'hello\n']);
  return tunnels;
}

describe('kill', () => {
  test('resets 200 tunnels over all workers and refuses new ones, within a second, and records who and why', async () => {
    await service.serve('--workers', '2');
    const tunnels = await holding('bot', 200);
    const { code, err } = await service.clawctl('kill', '--reason', 'SEC-12');
    const returned = performance.now();
    expect([code, err]).toEqual([0, expect.stringContaining('everything is stopped')]);
    expect(new Set(await Promise.all(tunnels.map((tunnel) => tunnel.ended)))).toEqual(new Set(['reset']));
    expect(performance.now() - returned).toBeLessThan(SECOND);
    expect((await by('bot')).answer).toBe('403 killed');
    const { killed } = await service.until((condition) => condition.killed.length > 0);
    expect(killed[0]).toContain('(SEC-12)');
    const events = await service.clawctl('stats', '--json');
    expect(JSON.parse(events.out)).toMatchObject({ killed: [{ agent: null, reason: 'SEC-12' }] });
    const store = new Database(join(service.folder, 'state/clawctl/egress.db'), { readonly: true });
    const rows = store.query("SELECT detail FROM event WHERE outcome = 'killed'");
    while (rows.all().length === 0) await Bun.sleep(10); // they are committed a moment later
    expect((rows.all() as { detail: string }[]).map(({ detail }) => detail)).toContainEqual(
      expect.stringMatching(/stopped, by \w+ since .* \(SEC-12\)/),
    );
    store.close();
    const list = await service.clawctl('list');
    expect(list.err).toContain('the kill switch is on: everything is stopped');
  });

  test('of one agent leaves the others alone', async () => {
    await service.serve('--workers', '2');
    const [bots, others] = [await holding('bot', 5), await holding('other', 5)];
    await service.clawctl('kill', '--agent', 'bot');
    expect(new Set(await Promise.all(bots.map((tunnel) => tunnel.ended)))).toEqual(new Set(['reset']));
    expect((await by('bot')).answer).toBe('403 killed');
    for (const tunnel of others) {
      tunnel.write('on');
      expect(await tunnel.read()).toBe('on');
    }
    expect((await by('other')).answer).toBe('200');
    expect((await service.clawctl('check', `origin.test:${service.origin}`, '--agent', 'bot')).out).toContain(
      'killed',
    );
    expect((await service.clawctl('check', `origin.test:${service.origin}`, '--agent', 'other')).code).toBe(
      0,
    );
  });

  test('holds across a restart and a killed worker, until resume', async () => {
    const child = await service.serve('--workers', '1');
    await service.clawctl('pause');
    await untilAnswer('bot', '403 killed');
    process.kill((await service.condition()).workers[0]!.pid, 'SIGKILL');
    await service.until(({ workers }) => workers[0]!.serving);
    expect((await by('bot')).answer).toBe('403 killed');
    child.kill('SIGTERM');
    await child.exited;
    await service.serve('--workers', '1');
    expect((await by('bot')).answer).toBe('403 killed');
    const { code, err } = await service.clawctl('resume');
    expect([code, err]).toEqual([0, expect.stringContaining('may go on')]);
    expect(await untilAnswer('bot', '200')).toBeLessThan(SECOND);
    expect(existsSync(killFile())).toBe(false);
  });

  test('needs neither a policy nor a store', async () => {
    await service.serve('--workers', '1');
    const [tunnel] = await holding('bot', 1);
    service.writePolicy('versoin: 1\n');
    for (const file of ['egress.db', 'egress.db-wal', 'egress.db-shm'])
      rmSync(join(service.folder, 'state/clawctl', file), { force: true });
    mkdirSync(join(service.folder, 'state/clawctl/egress.db'));
    const { code, err } = await service.clawctl('kill', '--reason', 'no store');
    expect([code, err]).toEqual([0, expect.stringContaining('could not be recorded')]);
    expect(await tunnel!.ended).toBe('reset');
    // The store is gone too, and which of the two is named depends on which was noticed first.
    expect((await by('bot')).answer).toMatch(/^403 killed|^503/);
  });

  test.each([
    ['damaged', '{"version":1,"killed":[{"agent":"bo'],
    ['empty', ''],
  ])('by a %s file is of everything', async (_, text) => {
    await service.serve('--workers', '1');
    const [tunnel] = await holding('other', 1);
    writeFileSync(killFile(), text);
    expect(await tunnel!.ended).toBe('reset');
    await untilAnswer('other', '403 killed');
    const narrow = await service.clawctl('resume', '--agent', 'other');
    expect([narrow.code, narrow.err]).toEqual([1, expect.stringContaining('cannot go on alone')]);
    await service.clawctl('resume');
    await untilAnswer('other', '200');
  });

  test('says it when nothing is new, and when nothing was stopped', async () => {
    expect((await service.clawctl('resume')).err).toContain('nothing was stopped');
    await service.clawctl('kill', '--reason', 'first');
    const { err } = await service.clawctl('kill', '--reason', 'second');
    expect(err).toContain('nothing new: everything is stopped');
    expect(err).toContain('(first)');
    const { code } = await service.clawctl('kill', '--agent', 'a b');
    expect(code).toBe(2);
  });

  test('says as JSON what was stopped and what still is', async () => {
    const killed = JSON.parse(
      (await service.clawctl('kill', '--agent', 'bot', '--reason', 'r', '--json')).out,
    );
    expect(killed).toMatchObject({
      schema: 'clawctl.egress.kill/v1',
      agent: 'bot',
      reason: 'r',
      already: false,
    });
    await service.clawctl('kill', '--agent', 'other');
    const resumed = JSON.parse((await service.clawctl('resume', '--agent', 'bot', '--json')).out);
    expect(resumed).toMatchObject({ resumed: [{ agent: 'bot' }], still_killed: [{ agent: 'other' }] });
  });
});
