import { describe, expect, test } from 'bun:test';
import { answering, ask, forwarding, ok } from './forward.fixture.ts';
import { allow, origin } from './gateway.fixture.ts';
import { basic, TOKEN } from './proxy.fixture.ts';

const policy = `${allow('good.test', '80, 443, 8080')}deny: [bad.test]\n`;
const statusOf = (text: string) => Number(text.slice(9, 12));
const reasonOf = (text: string) => /X-Clawctl-Reason: (\S+)/.exec(text)?.[1];

describe('refused is', () => {
  const server = () => answering(ok());
  const cases: Record<string, [request: string, status: number, reason: string]> = {
    'a host that no rule allows': [ask('bad.example'), 403, 'no-rule'],
    'a host that a rule denies': [ask('bad.test'), 403, 'denied'],
    'a port that no rule allows': [ask('good.test:8081'), 403, 'port'],
    'HTTP to the port of TLS': [ask('good.test:443'), 403, 'not-tls'],
    'a target that is no URL': [`GET / HTTP/1.1\r\nHost: good.test\r\n\r\n`, 400, 'not-proxy'],
    'the asterisk': [`OPTIONS * HTTP/1.1\r\nHost: good.test\r\n\r\n`, 400, 'not-proxy'],
    'an https URL': [ask('good.test').replace('http:', 'https:'), 400, 'http-malformed'],
    'an ftp URL': [ask('good.test').replace('http:', 'ftp:'), 400, 'http-malformed'],
    'a Host that is another': [
      ask('good.test').replace('Host: good.test', 'Host: bad.test'),
      400,
      'http-malformed',
    ],
    'a user in the URL': [ask('good.test@bad.test'), 400, 'http-malformed'],
    'a path that begins with two slashes': [ask('good.test', '//bad.test/'), 400, 'http-malformed'],
    'a host that is none': [ask('good..test'), 400, 'malformed-host'],
    'an address spelled strangely': [ask('0x7f.1'), 403, 'address-spelling'],
    TRACE: [ask('good.test', '/', 'Max-Forwards: 1\r\n', 'TRACE'), 403, 'http-method'],
    'an upgrade to HTTP/2': [
      ask(
        'good.test',
        '/',
        'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n',
      ),
      403,
      'http-upgrade',
    ],
    'a WebSocket that no rule lets through': [
      ask('good.test', '/', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'),
      403,
      'http-upgrade',
    ],
    'a head that is too large': [
      ask('good.test', '/', `X: ${'y'.repeat(17_000)}\r\n`),
      431,
      'head-too-large',
    ],
    'Proxy-Authorization said twice': [
      ask('good.test', '/', basic('bot', TOKEN) + basic('bot', TOKEN)),
      400,
      'http-malformed',
    ],
    'an agent with a wrong token': [ask('good.test', '/', basic('bot', 'wrong')), 407, 'credentials-wrong'],
  };
  for (const [what, [request, status, reason]] of Object.entries(cases))
    test(`${what}, wherever it is cut, and nothing of it leaves`, async () => {
      const each = server();
      const proxy = forwarding(policy, each);
      for (const cut of [0, 1, 20, Math.floor(request.length / 2), request.length - 1]) {
        const client = await proxy.say(request, cut);
        await client.untilText('X-Clawctl-Reason');
        await client.untilText('\r\n\r\nClawctl Egress: ');
        expect([cut, statusOf(client.text), reasonOf(client.text)]).toEqual([cut, status, reason]);
      }
      expect([each.ends.length, proxy.asked]).toEqual([0, []]);
      const rows = proxy.recorder.events.map((event) => [event.kind, 'verdict' in event && event.verdict]);
      expect(rows).toEqual(Array(5).fill(['decision', 'deny']));
      expect(JSON.stringify([...proxy.recorder.events, ...proxy.refusals])).not.toContain(TOKEN);
    });
});

test('what is malformed is recorded with its agent and its target, where both could be read', async () => {
  const shared = `agents: { bot: { from: [127.0.0.1] } }\n${policy}`;
  const proxy = forwarding(shared, answering(ok()), { proxy: { agent: null } });
  const twice = basic('bot', TOKEN) + basic('bot', TOKEN);
  for (const [request, host, port] of [
    [ask('good.test:8080', '/', twice), 'good.test', 8080],
    [ask('good.test', '//bad.test/'), 'good.test', 80],
  ] as const) {
    const client = await (await proxy.say(request)).untilEnded();
    expect(reasonOf(client.text)).toBe('http-malformed');
    expect(proxy.recorder.events.at(-1)).toMatchObject({
      agent: 'bot',
      host,
      port,
      reason: 'http-malformed',
    });
  }
});

test('without credentials nothing leaves, and the client learns how to give them', async () => {
  const server = answering(ok());
  const proxy = forwarding(policy, server, { proxy: { agent: null } });
  const client = await proxy.say(ask('good.test'));
  await client.untilText('credentials-missing');
  expect(statusOf(client.text)).toBe(407);
  expect(client.text).toContain('Proxy-Authenticate: Basic realm="clawctl"\r\n');
  client.send(ask('good.test', '/', basic('bot', TOKEN)));
  await client.untilText('hello');
  expect(server.ends).toHaveLength(1);
  expect(server.ends[0]!.text).not.toContain('Proxy-Authorization');
  client.send(ask('good.test'));
  await client.until(({ text }) => text.split(' 407 ').length === 3);
});

test('a refusal says why and what to type, as JSON for who asks, and leaves the connection open', async () => {
  const server = answering(ok());
  const proxy = forwarding(policy, server);
  const client = await proxy.say(ask('bad.example', '/', 'Accept: application/json\r\n'));
  await client.untilText('}');
  expect(JSON.parse(client.text.split('\r\n\r\n')[1]!)).toMatchObject({
    schema: 'clawctl.egress.refusal/v1',
    host: 'bad.example',
    reason: 'no-rule',
    suggestion: 'clawctl egress add bad.example',
  });
  client.send(ask('good.test'));
  await client.untilText('hello');
  client.send(ask('bad.example', '/', 'Content-Length: 5\r\n', 'POST'));
  await client.untilEnded();
  expect(client.text).toContain('Connection: close\r\n');
  const head = await proxy.say(ask('bad.example', '/', 'Connection: close\r\n', 'HEAD'));
  await head.untilEnded();
  expect(head.text).toEndWith('Connection: close\r\n\r\n');
  expect(proxy.refusals.map(({ reason }) => reason)).toEqual(['no-rule', 'no-rule', 'no-rule']);
});

test('clawctl.internal tells the agent what was refused, and is never dialled', async () => {
  const server = answering(ok());
  const proxy = forwarding(policy, server);
  const client = await proxy.say(ask('bad.example') + ask('clawctl.internal'));
  await client.untilText('latest first');
  await client.untilText('bad.example:80 refused (no-rule)');
  expect([server.ends.length, proxy.asked]).toEqual([0, []]);
});

test('an address that the rule does not admit is refused after the name was looked up', async () => {
  const proxy = forwarding('allow: [good.test]', answering(ok()));
  const client = await proxy.say(ask('good.test') + ask('bad.test'));
  await client.untilText('no-rule');
  expect(reasonOf(client.text)).toBe('address-refused');
  expect(client.text).not.toContain('127.0.0.1');
  expect(proxy.recorder.lines).toEqual([
    'http good.test:80 allow rule',
    'refusal good.test:80 address-refused',
    'close good.test:80 refused address-refused',
    'http bad.test:80 deny no-rule',
  ]);
});

describe('a WebSocket that a rule lets through', () => {
  const socketPolicy = `${allow('good.test', '80', ', upgrade: [websocket]')}  - { host: plain.test, addresses: [127.0.0.0/8] }\n`;
  const handshake = 'Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n';
  const accepted =
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: y\r\n\r\n';
  const sockets = (answer = accepted) =>
    origin((end) => void end.untilText('\r\n\r\n').then(() => end.send(`${answer}frame`)));

  test('is a tunnel after 101, and what the client said before waits for it', async () => {
    const server = sockets();
    const proxy = forwarding(socketPolicy, server);
    const client = await proxy.say(`${ask('good.test', '/chat', handshake)}early`);
    await client.untilText('frame');
    expect(client.text).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: y\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframe',
    );
    const end = await server.ends[0]!.untilText('early');
    expect(end.text).toContain('Connection: Upgrade\r\nUpgrade: websocket\r\n');
    client.send('GET http://bad.test/ is only text now');
    await end.untilText('only text now');
    client.socket.end();
    await end.untilEnded();
    end.socket.end();
    await proxy.recorded('close good.test:80 done null');
    expect(proxy.gateway.openConnections()).toBe(0);
  });

  test('stays HTTP where the origin does not change, and is refused where no rule says so', async () => {
    const server = answering(ok());
    const proxy = forwarding(socketPolicy, server);
    const client = await proxy.say(ask('good.test', '/', handshake) + ask('plain.test', '/', handshake));
    await client.untilText('http-upgrade');
    expect(client.text).toStartWith(ok());
    const posted = await proxy.say(ask('good.test', '/', `${handshake}Content-Length: 1\r\n`, 'POST'));
    await posted.untilText('http-upgrade');
    const half = await proxy.say(ask('good.test', '/', 'Upgrade: websocket\r\n'));
    await half.untilText('http-upgrade');
  });

  test('to another protocol than was asked for is 502', async () => {
    const server = sockets('HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n');
    const client = await forwarding(socketPolicy, server).say(ask('good.test', '/', handshake));
    await client.untilText('response-malformed');
    expect(statusOf(client.text)).toBe(502);
  });

  test('is reset when its rule is gone, or lets no upgrade through any more', async () => {
    for (const later of ['allow: [other.test]', allow('good.test', '80')]) {
      const server = sockets();
      const proxy = forwarding(socketPolicy, server);
      const client = await proxy.say(ask('good.test', '/', handshake));
      await client.untilText('frame');
      proxy.change(later);
      await client.untilClosed();
      await server.ends[0]!.untilClosed();
      expect([client.ending, server.ends[0]!.ending]).toEqual(['reset', 'reset']);
      expect(proxy.recorder.lines.at(-1)).toBe('close good.test:80 reset policy-changed');
    }
  });
});
