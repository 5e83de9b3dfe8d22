/** Commands of the person's own, which run outside every fence. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeFolder } from '../../../test/rig/folder.ts';
import { isRootKnown } from '../../../test/rig/owner.ts';
import type { ChannelConfig } from '../../policy/alerts/channel.ts';
import { notificationOf } from './incident.fixture.ts';
import { send } from './send.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'clawctl-commands-'));
});
afterAll(() => removeFolder(folder));

const attempt = (channel: ChannelConfig) => send({ channel, to: [], notification: notificationOf() });

describe('a command', () => {
  const script = (text: string) => {
    const file = join(folder, `command-${crypto.randomUUID()}`);
    writeFileSync(file, `#!/bin/sh\n${text}\n`);
    chmodSync(file, 0o755);
    return file;
  };
  const command = (...words: [string, ...string[]]): ChannelConfig => ({
    type: 'command',
    name: 'c',
    command: words,
  });

  test.skipIf(!isRootKnown)(
    'gets the alert on its standard input and nothing of our environment',
    async () => {
      const out = join(folder, 'out');
      process.env.TEST_KEY = 'routing-key-of-a-service';
      expect(
        await attempt(command(script(`cat > ${out}; env >> ${out}; echo "$1" >> ${out}`), '$(id)')),
      ).toMatchObject({
        state: 'delivered',
      });
      const [json, ...rest] = readFileSync(out, 'utf8').split('\n');
      expect(JSON.parse(json!)).toMatchObject({ schema: 'clawctl.egress.alert/v1', id: 'clawctl_key' });
      expect(rest.join('\n')).not.toMatch(/TEST_KEY|CLAWCTL|BUN/);
      expect(rest).toContain('$(id)');
    },
  );

  test.skipIf(!isRootKnown)('that fails is tried again, and says why', async () => {
    expect(await attempt(command(script('echo "no network" >&2; exit 3')))).toMatchObject({
      state: 'later',
      detail: 'exit code 3: no network',
    });
  });

  test.skipIf(!isRootKnown)('that hangs is killed with all it started', async () => {
    const pid = join(folder, 'pid');
    const sent = await send({
      channel: command(script(`sleep 60 & echo $! > ${pid}; wait`)),
      ...{ to: [], notification: notificationOf(), signal: AbortSignal.timeout(300) },
    });
    expect(sent).toMatchObject({ state: 'later', detail: 'it did not end in time' });
    const started = Number(readFileSync(pid, 'utf8'));
    for (let wait = 0; wait < 100 && isAlive(started); wait++) await Bun.sleep(10);
    expect(isAlive(started)).toBe(false);
  });

  test.skipIf(!isRootKnown)(
    'that leaves something behind which holds its output is not waited for',
    async () => {
      const pid = join(folder, 'left');
      const leaving = `echo no network >&2; setsid sh -c 'echo $$ > ${pid}; exec sleep 45' & `;
      const wait = `while [ ! -s ${pid} ]; do sleep 0.01; done`;
      const began = performance.now();
      try {
        expect(await attempt(command(script(`${leaving}${wait}; exit 1`)))).toMatchObject({
          ...{ state: 'later', detail: 'exit code 1: no network' },
        });
        expect(performance.now() - began).toBeLessThan(2_500);
      } finally {
        process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
      }
    },
  );

  test('that somebody else could change, or that is not there, is not run', async () => {
    const file = script('exit 0');
    chmodSync(file, 0o777);
    expect(await attempt(command(file))).toMatchObject({ state: 'unconfigured' });
    expect(await attempt(command(join(folder, 'none')))).toMatchObject({ state: 'unconfigured' });
    expect(await attempt(command('true'))).toMatchObject({ state: 'unconfigured' });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
