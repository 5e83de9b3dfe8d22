import { describe, expect, test } from 'bun:test';
import { allow, type End, get, origin, policyOf } from './gateway.fixture.ts';
import { basic, CONNECTED, connectTo, proxied, socks, TOKEN } from './proxy.fixture.ts';

const both = `${allow('good.test', '22')}  - { host: other.test, ports: [22], addresses: [127.0.0.0/8] }\n`;
const onlyOther = allow('other.test', '22');
const credentials = basic('bot', TOKEN);

/** A tunnel by each protocol to each host, all of them open. */
async function tunnels(proxy: ReturnType<typeof proxied>) {
  const open = async (sent: string) => (await proxy.say(sent)).untilText('server');
  const bySocks = (host: string) =>
    socks.greetingWithPassword + socks.credentials('bot', TOKEN) + socks.request(host, 22);
  const to = async (host: string) => [
    await open(connectTo(`${host}:22`, credentials)),
    await open(bySocks(host)),
  ];
  return { good: await to('good.test'), other: await to('other.test') };
}

const scene = () => {
  const server = origin((end) => end.send('server'));
  const proxy = proxied({ policy: both, originPort: server.port, proxy: { agent: null } });
  return { server, proxy };
};
const reset = (ends: End[]) => Promise.all(ends.map((end) => end.untilClosed()));

describe('a tunnel that would no longer be opened is reset on both sides at once', () => {
  test('when its rule is gone, and others are untouched to the byte', async () => {
    const { server, proxy } = scene();
    const { good, other } = await tunnels(proxy);
    proxy.state.policy = policyOf(onlyOther);
    proxy.gateway.rejudge();
    await reset(good);
    await reset(server.ends.slice(0, 2));
    expect(
      proxy.recorder.lines.filter((line) => line === 'close good.test:22 reset policy-changed'),
    ).toHaveLength(2);
    for (const [n, end] of other.entries()) {
      end.send('still here');
      await server.ends[2 + n]!.untilText('still here');
      expect(end.ending).toBe(null);
    }
    expect(proxy.gateway.openConnections()).toBe(2);
  });

  test('when the kill switch is on', async () => {
    const { proxy } = scene();
    const { good, other } = await tunnels(proxy);
    proxy.state.killed = true;
    proxy.gateway.rejudge();
    await reset([...good, ...other]);
    expect(proxy.recorder.lines.filter((line) => line.endsWith('reset killed'))).toHaveLength(4);
    const late = await (await proxy.say(connectTo('good.test:22', credentials))).untilEnded();
    expect(late.text).toContain('X-Clawctl-Reason: killed');
  });

  test('when the token of its agent is gone', async () => {
    const { proxy } = scene();
    const { good, other } = await tunnels(proxy);
    proxy.tokens.delete('bot');
    proxy.gateway.rejudge();
    await reset([...good, ...other]);
    expect(proxy.recorder.lines.filter((line) => line.endsWith('reset agent-removed'))).toHaveLength(4);
  });

  test('when its rule no longer lets it be what it has become', async () => {
    const rule = (more: string) => allow('good.test', '80', more);
    const upgrade = 'Connection: upgrade\r\nUpgrade: websocket\r\n';
    const server = origin(
      (end) => void end.untilText('\r\n\r\n').then(() => end.send(`HTTP/1.1 101 S\r\n${upgrade}\r\n`)),
    );
    const proxy = proxied({ policy: rule(', upgrade: [websocket]'), originPort: server.port });
    const client = await proxy.say(connectTo('good.test:80') + get('good.test', '/', upgrade));
    await client.untilText('101');
    proxy.state.policy = policyOf(rule(', note: still'));
    proxy.gateway.rejudge();
    await client.untilClosed();
    await proxy.recorded('close good.test:80 reset policy-changed');
  });

  test('also before its origin is there: it is told no, and nothing goes out', async () => {
    const server = origin();
    const held = Promise.withResolvers<{ ok: false; detail: string }>();
    const proxy = proxied({ policy: both, originPort: server.port, options: { dial: () => held.promise } });
    const client = await proxy.say(connectTo('good.test:22'));
    while (proxy.asked.length === 0) await Bun.sleep(1);
    proxy.state.policy = policyOf(onlyOther);
    proxy.gateway.rejudge();
    await client.untilClosed();
    held.resolve({ ok: false, detail: 'late' });
    expect(client.text).toBe('');
    await proxy.recorded('refusal good.test:22 policy-changed');
    expect(server.ends.length).toBe(0);
  });
});

describe('limits', () => {
  test('an agent may have so many tunnels, and another as soon as one has ended', async () => {
    const server = origin();
    const proxy = proxied({
      policy: `${both}limits: { connections_per_agent: 2 }\n`,
      originPort: server.port,
    });
    const first = await (await proxy.say(connectTo('good.test:22'))).untilText(CONNECTED);
    await (await proxy.say(connectTo('good.test:22'))).untilText(CONNECTED);
    const third = await (await proxy.say(connectTo('good.test:22'))).untilEnded();
    expect(third.text).toStartWith('HTTP/1.1 503 ');
    expect(third.text).toContain('X-Clawctl-Reason: limit-connections');
    const bySocks = await proxy.say(socks.greeting + socks.request('good.test', 22));
    expect((await bySocks.untilEnded()).text).toBe(socks.chosen + socks.reply(1));
    first.socket.reset();
    while (proxy.gateway.openConnections() > 1) await Bun.sleep(1);
    await (await proxy.say(connectTo('good.test:22'))).untilText(CONNECTED);
    expect(proxy.recorder.lines).toContain('tcp good.test:22 deny limit-connections');
  });

  test('an attempt that was abandoned counts for as long as it holds a descriptor', async () => {
    const attempt = Promise.withResolvers<void>();
    const proxy = proxied({
      policy: `${both}limits: { connections_per_agent: 1 }\n`,
      options: { dial: async () => ({ ok: false, detail: 'timeout', pending: attempt.promise }) },
    });
    const ask = async () => {
      const client = await (await proxy.say(connectTo('good.test:22'))).untilEnded();
      client.socket.reset();
      while (proxy.gateway.openConnections() > 0) await Bun.sleep(1);
      return client.text;
    };
    expect(await ask()).toContain('connect-failed');
    expect(await ask()).toContain('limit-connections');
    attempt.resolve();
    await attempt.promise;
    expect(await ask()).toContain('connect-failed');
  });

  test('so many may be opened within a second, and again in the next', async () => {
    const server = origin();
    const proxy = proxied({
      policy: `${both}limits: { connections_per_second: 3 }\n`,
      originPort: server.port,
    });
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const client = await proxy.say(connectTo('good.test:22'));
        return (await client.until((end) => end.text !== '')).text;
      }),
    );
    const refused = answers.filter((text) => text.includes('limit-rate')).length;
    expect(refused).toBeGreaterThanOrEqual(2); // a second may have begun among them
    expect(refused).toBeLessThanOrEqual(5);
    await Bun.sleep(1_000);
    await (await proxy.say(connectTo('good.test:22'))).untilText(CONNECTED);
  });

  test('a tunnel lives so long', async () => {
    const server = origin((end) => end.send('server'));
    const proxy = proxied({ policy: `${both}limits: { lifetime: 1s }\n`, originPort: server.port });
    const client = await (await proxy.say(connectTo('good.test:22'))).untilText('server');
    const sending = setInterval(() => client.send('x'), 50);
    await client.untilClosed();
    clearInterval(sending);
    await proxy.recorded('close good.test:22 reset lifetime');
  });

  test('so many octets may go up in a day: what is beyond does not, and the tunnel is reset', async () => {
    const server = origin();
    const rule = '{ host: good.test, ports: [22], addresses: [127.0.0.0/8], limits: { bytes_up: 1 MB/day } }';
    const proxy = proxied({ policy: `allow: [${rule}]\n`, originPort: server.port });
    const client = await (await proxy.say(connectTo('good.test:22'))).untilText(CONNECTED);
    client.send(new Uint8Array(600_000));
    await (await server.nth(0)).until((end) => end.text.length === 600_000);
    client.send(new Uint8Array(600_000));
    await client.untilClosed();
    await proxy.recorded('close good.test:22 refused limit-bytes-up');
    expect(proxy.recorder.lines).toEqual([
      'tcp good.test:22 allow rule',
      'refusal good.test:22 limit-bytes-up',
      'close good.test:22 refused limit-bytes-up',
    ]);
    expect(proxy.refusals.map(({ reason }) => reason)).toEqual(['limit-bytes-up']);
    const asked = await (
      await proxy.say(connectTo('clawctl.internal:80') + get('clawctl.internal'))
    ).untilEnded();
    expect(asked.text).toContain('good.test:22 refused (limit-bytes-up)');
    const bySocks = socks.greeting + socks.request('good.test', 22);
    for (const asking of [connectTo('good.test:22'), bySocks]) {
      const more = await (await proxy.say(asking)).untilText(asking === bySocks ? socks.reply(0) : CONNECTED);
      more.send(new Uint8Array(600_000));
      await more.untilClosed();
      expect(proxy.recorder.lines.slice(-2)).toEqual([
        'refusal good.test:22 limit-bytes-up',
        'close good.test:22 refused limit-bytes-up',
      ]);
    }
    expect(server.ends.reduce((sum, end) => sum + end.text.length, 0)).toBeLessThanOrEqual(1_000_000);
  });
});
