/** Alerts of a gateway as a service: about itself, and about what its agents do. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openReceiver } from '../src/alerts/channels/receiver.fixture.ts';
import { verifyStore } from '../src/events/verify.ts';
import { connectBy, freePort, openService, type Service } from './rig/service.ts';

let service: Service;
let port: number;
beforeEach(() => {
  service = openService();
  port = freePort();
});
afterEach(() => service.close());

const policy = (rest = '') => `version: 1
listen: [{ address: '127.0.0.1:${port}', agent: ci }]
allow: [{ host: 127.0.0.1, ports: [${service.origin}], addresses: [127.0.0.0/8] }]
${rest}`;

/** Those of this alert, once there are as many, or none have come for a while. */
async function incidents(alert: string, count: number) {
  for (const end = performance.now() + (count > 0 ? 10_000 : 2_000); ; await Bun.sleep(100)) {
    const { items } = JSON.parse((await service.clawctl('alerts', 'history', '--json')).out);
    const found = items.filter((item: { alert: string }) => item.alert === alert);
    if ((count > 0 && found.length >= count) || performance.now() > end) return found;
  }
}

describe('an agent of a listener', () => {
  const bot = `version: 1
agents: { bot: { from: [192.0.2.1] } }
`;

  test('on the command line is expected, and serve says who does not know it', async () => {
    service.writePolicy(bot);
    const child = await service.serve('--listen', `127.0.0.1:${port}`, '--agent', 'zed', '--workers', '1');
    expect(child.lines.all.join('\n')).toContain('the policy does not name zed');
    expect((await connectBy({ port }, 'x.test:443')).answer).toBe('403 no-rule');
    await service.saying('"blocked":1', 'stats', '--json');
    expect(await incidents('unexpected_agent', 0)).toEqual([]);
  });

  test('in the policy is one that the policy names', async () => {
    service.writePolicy(`${bot}listen: [{ address: '127.0.0.1:${port}', agent: zed }]\n`);
    const child = await service.serve('--workers', '1');
    expect(child.lines.all.join('\n')).not.toContain('does not name');
    expect((await connectBy({ port }, 'x.test:443')).answer).toBe('403 no-rule');
    await service.saying('"blocked":1', 'stats', '--json');
    expect(await incidents('unexpected_agent', 0)).toEqual([]);
  });
});

describe('a service', () => {
  test('that was killed and is started anew is told of', async () => {
    service.writePolicy(policy());
    const first = await service.serve('--workers', '1');
    first.kill('SIGKILL');
    await first.exited;
    await service.serve('--workers', '2');
    expect(await incidents('gateway_restarted', 1)).toMatchObject([
      { state: 'firing', count: 1, finding: 'a gateway process had died or hung, and was started again' },
    ]);
  });

  test('that was told to end, or handed on, and is started anew is not', async () => {
    service.writePolicy(policy());
    const first = await service.serve('--workers', '1');
    first.kill('SIGTERM');
    await first.exited;
    await service.serve('--workers', '1');
    const last = await service.serve('--workers', '1', '--takeover');
    last.kill('SIGTERM');
    await last.exited;
    await service.serve('--workers', '1');
    expect(await incidents('gateway_restarted', 0)).toEqual([]);
  });

  test('whose worker dies is told of', async () => {
    service.writePolicy(policy());
    await service.serve('--workers', '2');
    const { workers } = await service.condition();
    process.kill(workers[1]!.pid, 'SIGKILL');
    expect(await incidents('gateway_restarted', 1)).toHaveLength(1);
  });
});

test('messages leave by channels whose secrets are variables, also by one that a changed policy adds', async () => {
  const [first, second] = [openReceiver(), openReceiver()];
  try {
    Object.assign(service.environment, {
      FIRST_URL: first.url,
      SECOND_URL: second.url,
      HOOK_SECRET: 'whsec_'.concat('c2VjcmV0'.repeat(4)),
      OTHER_SECRET: 'whsec_'.concat('b3RoZXIx'.repeat(4)),
    });
    const alert = (name: string, agent: string, to: string) =>
      `{ name: ${name}, condition: 'blocked_requests > 0 in 5 minutes where agent = ${agent}', notify: ${to} }`;
    const channel = (name: string, secret: string) =>
      `${name.toLowerCase()}: { type: webhook, url: env:${name}_URL, secret: env:${secret}, addresses: [127.0.0.0/8] }`;
    const [one, two] = [alert('one', 'ci', 'first'), alert('two', 'ci', 'second')];
    const before = `  ${channel('FIRST', 'HOOK_SECRET')}\n`;
    service.writePolicy(policy(`alerts: [${one}]\nchannels:\n${before}`));
    const process = await service.serve('--workers', '1');
    (await connectBy({ port }, 'evil.test:443')).close();
    await received(first, 1);
    const added = `  ${channel('SECOND', 'OTHER_SECRET')}\n`;
    service.writePolicy(policy(`alerts: [${one}, ${two}]\nchannels:\n${before}${added}`));
    await process.lines.until('the policy has changed');
    await received(second, 1);
    const body = JSON.parse(second.received[0]!.body);
    expect(body).toMatchObject({ type: 'alert.firing', data: { alert: 'two' } });
  } finally {
    first.close();
    second.close();
  }
}, 30_000);

/** In a user namespace of the rig's the system belongs to nobody, and then no command below it is run. */
const isOwned = [0, process.getuid!()].includes(statSync('/').uid);
if (!isOwned) console.warn('skipped: here the root folder is of another user, so that no command is run');

test.skipIf(!isOwned)(
  'a command gets the variables that it is promised',
  async () => {
    const [script, seen] = ['tell', 'seen'].map((name) => join(service.folder, name)) as [string, string];
    writeFileSync(script, `#!/bin/sh\necho "$HOME $TZ $FOREIGN" > ${seen}\n`, { mode: 0o700 });
    Object.assign(service.environment, { TZ: 'Asia/Tokyo', FOREIGN: 'no' });
    const alert = `{ name: any, condition: 'blocked_requests > 0 in 5 minutes', notify: tell }`;
    service.writePolicy(
      policy(`alerts: [${alert}]\nchannels: { tell: { type: command, command: ['${script}'] } }\n`),
    );
    await service.serve('--workers', '1');
    (await connectBy({ port }, 'evil.test:443')).close();
    const said = () => (existsSync(seen) ? readFileSync(seen, 'utf8') : '');
    for (const end = performance.now() + 10_000; performance.now() < end && said() === ''; )
      await Bun.sleep(20);
    expect(said()).toBe(`${service.environment.HOME} Asia/Tokyo \n`);
  },
  30_000,
);

async function received(receiver: ReturnType<typeof openReceiver>, count: number): Promise<void> {
  for (const end = performance.now() + 10_000; performance.now() < end; await Bun.sleep(20))
    if (receiver.received.length >= count) return;
  throw new Error(`received ${receiver.received.length} of ${count}`);
}

test('a damaged store of alerts is moved aside, told of, and alerts go on', async () => {
  const state = join(service.folder, 'state/clawctl');
  mkdirSync(state, { recursive: true });
  writeFileSync(join(state, 'alerts.db'), 'this is no database, and never was one\n'.repeat(100));
  service.writePolicy(policy());
  await service.serve('--workers', '1');
  for (const end = performance.now() + 5_000; performance.now() < end; await Bun.sleep(50))
    if (readdirSync(state).some((name) => name.startsWith('alerts.db.corrupt-'))) break;
  expect(await incidents('store_failing', 1)).toMatchObject([{ state: 'firing', severity: 'critical' }]);
});

test('much that is sent on one connection is told of while it lasts, and counted once', async () => {
  const condition = 'bytes_up > 10 MB in 5 minutes per agent';
  service.writePolicy(policy(`alerts: [{ name: large, condition: '${condition}' }]\n`));
  await service.serve('--workers', '1');
  const tunnel = await connectBy({ port }, `127.0.0.1:${service.origin}`);
  const drained = (async () => {
    while ((await tunnel.read()) !== null);
  })();
  const piece = 'x'.repeat(1_000_000);
  for (let sent = 1; sent <= 12; sent++) {
    tunnel.write(piece);
    while (service.received() < sent * piece.length) await Bun.sleep(5);
  }
  expect(await incidents('large', 1)).toMatchObject([{ state: 'firing', count: 12_000_000, agents: ['ci'] }]);
  expect(await sent()).toBe(0);
  tunnel.write('y'.repeat(1_000));
  while (service.received() < 12_001_000) await Bun.sleep(5);
  tunnel.close();
  await drained;
  for (const end = performance.now() + 5_000; performance.now() < end && (await sent()) === 0; )
    await Bun.sleep(50);
  expect(await sent()).toBe(12_001_000);
  for (const end = performance.now() + 8_000; performance.now() < end; await Bun.sleep(100))
    if ((await incidents('large', 1))[0].count !== 12_000_000) break;
  expect(await incidents('large', 1)).toMatchObject([{ count: 12_001_000 }]);
  expect(verifyStore(join(service.folder, 'state/clawctl/egress.db'))).toMatchObject({ ok: true });
}, 30_000);

/** By `stats`, which counts what has closed. */
const sent = async () => JSON.parse((await service.clawctl('stats', '--json')).out).bytes_up as number;
