import { describe, expect, test } from 'bun:test';
import { dial } from '../net/dial.ts';
import { listenAt } from '../net/listen.ts';
import { openListener } from '../os/sockets.ts';
import { hello, nameEntry, records, serverName, versions } from '../wire/clienthello.fixture.ts';
import { address, allow, End, gateway, get, origin } from './gateway.fixture.ts';
import { serveProxy } from './proxylistener.ts';
import { ACCESS_DENIED } from './refusal.ts';
import { NO_NAMES } from './session.ts';

const policy = allow('good.test', '80, 443, 8443, 22');
const helloFor = (name: string | null) =>
  records(hello(...(name === null ? [] : [serverName(nameEntry(name))]), versions(0x0304, 0x0303)));
const denied = Buffer.from(ACCESS_DENIED).toString('latin1');

async function clientAt(port: number): Promise<End> {
  const dialled = await dial([address('127.0.0.1')], port, { timeout: 2_000 });
  if (!dialled.ok) throw new Error(dialled.detail);
  const end = new End();
  end.socket = dialled.socket;
  end.socket.handler = end;
  return end;
}

/** A listener whose clients were redirected on their way to this address, which stands for no name. */
function redirecting(port: number, more = '', firstBytes = 5_000, agent: string | null = 'bot') {
  const server = origin((end) => void end.until(() => end.text.length > 0).then(() => end.send('answer')));
  const fence = gateway({
    policy: policy + more,
    originPort: server.port,
    options: { destinationOf: () => ({ address: address('203.0.113.9'), port }), times: { firstBytes } },
  });
  const probe = listenAt('127.0.0.1', 0, () => new End());
  const at = probe.port;
  probe.close();
  const fd = openListener('loopback4', at);
  fence.gateway.serveTransparent({ fd, agent, session: 't1', namedByClient: true, ...NO_NAMES });
  const say = async (sent: Uint8Array | string, cut = 0) => {
    const end = await clientAt(at);
    fence.opened(end);
    const bytes = typeof sent === 'string' ? Buffer.from(sent, 'latin1') : sent;
    end.send(bytes.subarray(0, cut));
    if (cut > 0) await new Promise((resolve) => setImmediate(resolve));
    end.send(bytes.subarray(cut));
    return end;
  };
  return { server, fence, say };
}

test('a name that was given out is known, whatever the session listened on before', async () => {
  const server = origin((end) => void end.until(() => end.text.length > 0).then(() => end.send('answer')));
  const destinationOf = () => ({ address: address('198.18.0.1'), port: 80 });
  const fence = gateway({ policy, originPort: server.port, options: { destinationOf } });
  const session = 'mixed';
  const proxy = serveProxy(fence.gateway, {
    where: { hostname: '127.0.0.1', port: 0 },
    agent: 'bot',
    session,
  });
  const probe = listenAt('127.0.0.1', 0, () => new End());
  const at = probe.port;
  probe.close();
  const names = { ...NO_NAMES, nameOf: () => 'good.test' };
  fence.gateway.serveTransparent({ fd: openListener('loopback4', at), agent: 'bot', session, ...names });
  const end = await clientAt(at);
  fence.opened(end);
  end.send(Buffer.from(get('good.test')));
  await end.untilText('answer');
  expect(fence.asked).toEqual(['good.test']);
  proxy.close();
});

describe('an address without a name, where clients may name it', () => {
  for (const [what, port, sent] of [
    ['a ClientHello', 443, helloFor('good.test')],
    ['a ClientHello on another port', 8443, helloFor('good.test')],
    ['a Host', 80, Buffer.from(get('good.test'))],
    ['a Host on another port', 8443, Buffer.from(get('good.test:8443'))],
  ] as const)
    test(`is the host of ${what}, which is judged and dialled by its name`, async () => {
      const { server, fence, say } = redirecting(port);
      for (let cut = 0; cut < sent.length; cut += 9) {
        await (await say(sent, cut)).untilText('answer');
        expect(server.ends.at(-1)!.text).toBe(Buffer.from(sent).toString('latin1'));
      }
      expect(new Set(fence.asked)).toEqual(new Set(['good.test']));
      expect(fence.recorder.lines[0]).toEndWith(`good.test:${port} allow rule`);
    });

  test('is refused with the name that was said, in what was spoken', async () => {
    const { server, fence, say } = redirecting(443);
    expect((await (await say(helloFor('evil.test'))).untilEnded()).text).toBe(denied);
    expect(fence.recorder.lines).toEqual(['tcp evil.test:443 deny no-rule']);
    const web = redirecting(80);
    const client = await (await web.say(get('evil.test'))).untilEnded();
    expect(client.text).toContain('evil.test:80 refused (no-rule)');
    expect([server.ends.length, web.server.ends.length, fence.asked, web.fence.asked]).toEqual([
      0,
      0,
      [],
      [],
    ]);
  });

  test('is judged as the address where nothing names it', async () => {
    const tls = redirecting(443);
    expect((await (await tls.say(helloFor(null))).untilEnded()).text).toBe(denied);
    await (await tls.say('SSH-2.0-x\r\n')).untilClosed();
    const other = redirecting(22);
    await (await other.say('\0\x01\x02\x03')).untilClosed();
    const silent = redirecting(22, '', 100);
    await (await silent.say('')).untilClosed();
    for (const { fence } of [tls, other, silent])
      for (const line of fence.recorder.lines) expect(line).toMatch(/^tcp 203\.0\.113\.9:\d+ deny no-rule$/);
    expect(tls.fence.recorder.lines).toHaveLength(2);
  });

  test('a client cannot name another address: only names are taken from it', async () => {
    const more = '  - { host: 127.0.0.1, ports: [80], addresses: [127.0.0.0/8] }\n';
    const { server, fence, say } = redirecting(80, more);
    const client = await (await say(get('127.0.0.1'))).untilEnded();
    expect(client.text).toContain('203.0.113.9:80 refused (no-rule)');
    expect([server.ends.length, fence.recorder.lines]).toEqual([0, ['http 203.0.113.9:80 deny no-rule']]);
  });

  test('a second name in the same connection does not pass', async () => {
    const { server, fence, say } = redirecting(80);
    const client = await (await say(get('good.test'))).untilText('answer');
    client.send(get('evil.test'));
    await fence.recorded('refusal good.test:80 host-mismatch');
    expect(server.ends[0]!.text).toBe(get('good.test'));
  });

  test('an address that a rule names is let through before anything is said', async () => {
    const { fence, say } = redirecting(
      22,
      '  - { host: 203.0.113.9, ports: [22], addresses: [127.0.0.0/8] }\n',
    );
    await say('');
    await fence.recorded('tcp 203.0.113.9:22 allow rule');
  });

  test('on a shared listener a client is known by where it comes from', async () => {
    const known = redirecting(443, 'agents: { bot: { from: [127.0.0.0/8] } }\n', 5_000, null);
    await (await known.say(helloFor('good.test'))).untilText('answer');
    expect(known.fence.recorder.events[0]).toMatchObject({ agent: 'bot', verdict: 'allow' });
    const unknown = redirecting(443, '', 5_000, null);
    await (await unknown.say(helloFor('good.test'))).untilEnded();
    expect(unknown.fence.recorder.events[0]).toMatchObject({ agent: '-', reason: 'credentials-missing' });
    expect(unknown.server.ends).toEqual([]);
  });
});
