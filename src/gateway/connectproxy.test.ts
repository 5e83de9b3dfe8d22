import { describe, expect, test } from 'bun:test';
import { dial } from '../net/dial.ts';
import { allow, get, origin } from './gateway.fixture.ts';
import { basic, CONNECTED, connectTo, proxied, TOKEN } from './proxy.fixture.ts';

const policy = allow('good.test', '22, 80, 443, 8080');

describe('CONNECT', () => {
  test('is answered when the origin is there, and then it is a tunnel both ways', async () => {
    const server = origin((end) => end.send('SSH-2.0-server\r\n'));
    const proxy = proxied({ policy, originPort: server.port });
    const client = await proxy.say(connectTo('good.test:22'));
    await client.untilText(`${CONNECTED}SSH-2.0-server\r\n`);
    client.send('SSH-2.0-client\r\n');
    await (await server.nth(0)).untilText('SSH-2.0-client\r\n');
    client.socket.end();
    await server.ends[0]!.untilEnded();
    server.ends[0]!.socket.end();
    await proxy.recorded('close good.test:22 done null');
    expect(proxy.recorder.lines).toEqual(['tcp good.test:22 allow rule', 'close good.test:22 done null']);
    expect(proxy.gateway.openConnections()).toBe(0);
  });

  test('keeps what comes behind its head for the tunnel, cut anywhere', async () => {
    const server = origin();
    const proxy = proxied({ policy, originPort: server.port });
    const sent = `${connectTo('good.test:22')}early bytes\n`;
    for (let cut = 0; cut < sent.length; cut++) {
      const client = await proxy.say(sent, cut);
      await client.untilText(CONNECTED);
      const end = await (await server.nth(cut)).untilText('early bytes\n');
      expect([cut, end.text, client.text]).toEqual([cut, 'early bytes\n', CONNECTED]);
      client.socket.reset();
    }
  });

  test('says nothing, and sends nothing, before the decision is recorded and the origin there', async () => {
    const server = origin();
    const gate = Promise.withResolvers<void>();
    const recorded = Promise.withResolvers<void>();
    const proxy = proxied({
      policy,
      options: {
        dial: async (addresses, _port, options) => {
          await gate.promise;
          return dial(addresses, server.port, options);
        },
      },
    });
    proxy.recorder.hold = recorded.promise;
    const client = await proxy.say(`${connectTo('good.test:22')}early`);
    await Bun.sleep(20); // nothing to wait for: nothing may come
    expect([client.text, server.ends.length, proxy.asked]).toEqual(['', 0, []]);
    recorded.resolve();
    await Bun.sleep(20);
    expect([client.text, server.ends.length, proxy.asked]).toEqual(['', 0, ['good.test']]);
    gate.resolve();
    await client.untilText(CONNECTED);
    await (await server.nth(0)).untilText('early');
  });

  test('is judged on port 443 and 80 by what is said inside, also where it was said early', async () => {
    const server = origin((end) => {
      void end.untilText('\r\n\r\n').then(() => end.send('HTTP/1.1 204 N\r\n\r\n'));
      void end.untilEnded().then(() => end.socket.end());
    });
    const proxy = proxied({ policy, originPort: server.port });
    const http = await proxy.say(connectTo('good.test:80') + get('good.test'));
    await http.untilText('204');
    http.send(get('evil.test'));
    await http.untilText('X-Clawctl-Reason: host-mismatch');
    const early = await proxy.say(connectTo('good.test:80') + get('evil.test'));
    await early.untilEnded();
    expect(early.text).toContain('X-Clawctl-Reason: host-mismatch');
    const ssh = await proxy.say(`${connectTo('good.test:443')}SSH-2.0-OpenSSH_9.7\r\n`);
    await ssh.untilEnded();
    await proxy.recorded('refusal good.test:443 not-tls');
    expect(server.ends.map((end) => end.text).join('')).toBe(get('good.test'));
  });

  test('gives a client that is silent in its tunnel so long, from when it was opened', async () => {
    const server = origin();
    const proxy = proxied({ policy, originPort: server.port, options: { times: { firstBytes: 100 } } });
    const client = await proxy.say(connectTo('good.test:443'));
    await client.untilText(CONNECTED);
    await client.untilClosed();
    await proxy.recorded('refusal good.test:443 first-bytes-late');
    const other = await proxy.say(connectTo('good.test:22'));
    await other.untilText(CONNECTED);
    await Bun.sleep(700); // longer than any look at the clock
    expect(other.ending).toBe(null);
  });
});

describe('a refused CONNECT', () => {
  const refusals: Array<[string, string, string, string]> = [
    ['to a host that no rule allows', connectTo('evil.test:443'), '403 Forbidden', 'no-rule'],
    ['to a port that no rule allows', connectTo('good.test:25'), '403 Forbidden', 'port'],
    ['to an address', connectTo('127.0.0.1:443'), '403 Forbidden', 'no-rule'],
    ['to an address in brackets', connectTo('[::1]:443'), '403 Forbidden', 'no-rule'],
    ['to an address spelled another way', connectTo('127.1:443'), '403 Forbidden', 'address-spelling'],
    ['to a host that is none', connectTo('a..good.test:443'), '400 Bad Request', 'malformed-host'],
    [
      'with another Host',
      'CONNECT evil.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n',
      '400 Bad Request',
      'http-malformed',
    ],
    [
      'with another Host, the other way',
      'CONNECT good.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n',
      '400 Bad Request',
      'http-malformed',
    ],
    [
      'with the port of another',
      'CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:22\r\n\r\n',
      '400 Bad Request',
      'http-malformed',
    ],
    ['without a Host', 'CONNECT good.test:443 HTTP/1.1\r\n\r\n', '400 Bad Request', 'http-malformed'],
    [
      'with two Hosts',
      connectTo('good.test:443', 'Host: good.test:443\r\n'),
      '400 Bad Request',
      'http-malformed',
    ],
    ['with a body', connectTo('good.test:443', 'Content-Length: 3\r\n'), '400 Bad Request', 'http-malformed'],
    [
      'with a chunked body',
      connectTo('good.test:443', 'Transfer-Encoding: chunked\r\n'),
      '400 Bad Request',
      'http-malformed',
    ],
    ['without a port', connectTo('good.test'), '400 Bad Request', 'http-malformed'],
    [
      'in absolute form',
      'CONNECT http://good.test:443/ HTTP/1.1\r\nHost: good.test:443\r\n\r\n',
      '400 Bad Request',
      'http-malformed',
    ],
    [
      'to a port beyond the last',
      'CONNECT good.test:65979 HTTP/1.1\r\nHost: good.test:443\r\n\r\n',
      '400 Bad Request',
      'http-malformed',
    ],
    ['to a port with a zero before it', connectTo('good.test:0443'), '400 Bad Request', 'http-malformed'],
    ['to a port with a sign', connectTo('good.test:+443'), '400 Bad Request', 'http-malformed'],
    ['to port 0', connectTo('good.test:0'), '400 Bad Request', 'http-malformed'],
    ['to IPv6 without brackets', connectTo('::1:443'), '400 Bad Request', 'http-malformed'],
    ['with a user', connectTo('good.test:443@evil.test:443'), '400 Bad Request', 'http-malformed'],
    ['with percent codes', connectTo('evil.test%2egood.test:443'), '400 Bad Request', 'http-malformed'],
    [
      'with bare LF',
      connectTo('good.test:443').replaceAll('\r\n', '\n'),
      '400 Bad Request',
      'http-malformed',
    ],
    [
      'with credentials twice',
      connectTo('good.test:443', basic('bot', TOKEN) + basic('bot', TOKEN)),
      '400 Bad Request',
      'http-malformed',
    ],
    [
      'with a head that is too large',
      connectTo('good.test:443', `A: ${'a'.repeat(40_000)}\r\n`),
      '431 Request Header Fields Too Large',
      'head-too-large',
    ],
    [
      'with too many fields',
      connectTo('good.test:443', 'A: b\r\n'.repeat(200)),
      '431 Request Header Fields Too Large',
      'head-too-large',
    ],
    [
      'with a wrong token',
      connectTo('good.test:443', basic('bot', 'wrong')),
      '407 Proxy Authentication Required',
      'credentials-wrong',
    ],
    [
      'with a token for another agent',
      connectTo('good.test:443', basic('other', TOKEN)),
      '407 Proxy Authentication Required',
      'credentials-wrong',
    ],
    [
      'with another scheme',
      connectTo('good.test:443', `Proxy-Authorization: Bearer ${TOKEN}\r\n`),
      '407 Proxy Authentication Required',
      'credentials-wrong',
    ],
  ];
  for (const [what, sent, status, reason] of refusals)
    test(`${what} is told ${status.slice(0, 3)}, recorded, and reaches nobody`, async () => {
      const server = origin();
      const proxy = proxied({ policy, originPort: server.port });
      for (const cut of [0, 1, 8, Math.floor(sent.length / 2), sent.length - 1]) {
        const client = await proxy.say(sent, cut);
        await client.untilEnded();
        expect(client.text).toStartWith(`HTTP/1.1 ${status} (Clawctl Egress, ${reason}: `);
        expect(client.text).toContain(`\r\nX-Clawctl-Reason: ${reason}\r\n`);
      }
      const denials = proxy.recorder.events.filter((event) => event.kind === 'decision');
      expect(denials.map((event) => event.reason)).toEqual(Array(5).fill(reason));
      expect([server.ends.length, proxy.asked]).toEqual([0, []]);
    });

  test('with a body of no octets is none: WinINet says so', async () => {
    const server = origin((end) => end.send('server'));
    const proxy = proxied({ policy, originPort: server.port });
    const sent = connectTo('good.test:22', 'Content-Length: 0\r\n');
    await (await proxy.say(`${sent}early`)).untilText(`${CONNECTED}server`);
    await (await server.nth(0)).untilText('early');
  });

  test('is recorded with its agent and its target, as far as both are known', async () => {
    const shared = `agents: { bot: { from: [127.0.0.1] } }\n${policy}`;
    const proxy = proxied({ policy: shared, proxy: { agent: null } });
    for (const [sent, told, host, port] of [
      [connectTo('good.test:22', basic('bot', TOKEN).repeat(2)), 'appears twice', 'good.test', 22],
      [connectTo('good.test'), 'not a host and a port', '(unread)', 0],
    ] as const) {
      expect((await (await proxy.say(sent)).untilEnded()).text).toContain(told);
      const reason = 'http-malformed';
      expect(proxy.recorder.events.at(-1)).toMatchObject({ agent: 'bot', host, port, reason });
    }
  });

  test('to what cannot be reached is told 502', async () => {
    const proxy = proxied({ policy, names: { 'good.test': ['127.0.0.1'] }, originPort: 1 });
    const client = await (await proxy.say(connectTo('good.test:22'))).untilEnded();
    expect(client.text).toStartWith('HTTP/1.1 502 Bad Gateway (Clawctl Egress, connect-failed: ');
    expect(client.text).toContain('good.test:22 not reached (connect-failed)');
    expect(client.text).not.toContain('127.0.0.1');
    await proxy.recorded('close good.test:22 failed connect-failed');
  });

  test('that cannot be recorded is told 503, and nothing leaves', async () => {
    const server = origin();
    const proxy = proxied({ policy, originPort: server.port });
    proxy.recorder.writable = false;
    const client = await (await proxy.say(connectTo('good.test:22'))).untilEnded();
    expect(client.text).toStartWith('HTTP/1.1 503 ');
    expect([server.ends.length, proxy.asked]).toEqual([0, []]);
  });

  test('to an address that the rule does not admit is told 403, and not what the address is', async () => {
    const proxy = proxied({ policy, names: { 'good.test': ['10.0.0.7'] } });
    const client = await (await proxy.say(connectTo('good.test:22'))).untilEnded();
    expect(client.text).toContain('X-Clawctl-Reason: address-refused');
    expect(client.text).not.toContain('10.0.0');
  });

  test('is told in JSON where that is asked for', async () => {
    const proxy = proxied({ policy });
    const client = await proxy.say(connectTo('evil.test:443', 'Accept: application/json\r\n'));
    await client.untilEnded();
    const body = JSON.parse(client.text.slice(client.text.indexOf('\r\n\r\n')));
    expect(body).toMatchObject({ schema: 'clawctl.egress.refusal/v1', host: 'evil.test', reason: 'no-rule' });
  });

  test('whose head is not finished in time is told 408', async () => {
    const proxy = proxied({ policy, options: { times: { head: 100 } } });
    const client = await (await proxy.say('CONNECT good.test:443 HT')).untilEnded();
    expect(client.text).toStartWith('HTTP/1.1 408 ');
    await proxy.recorded('tcp (unread):0 deny head-late');
    const ended = await proxy.say('CONNECT good');
    ended.socket.end();
    await ended.untilEnded();
    expect(ended.text).toStartWith('HTTP/1.1 400 ');
  });
});

test('the reserved name answers in a tunnel what was refused to the agent, and to nobody else', async () => {
  const proxy = proxied({ policy, proxy: { agent: null } });
  const credentials = basic('bot', TOKEN);
  await (await proxy.say(connectTo('evil.test:443', credentials))).untilEnded();
  const request = get('clawctl.internal');
  const client = await proxy.say(connectTo('clawctl.internal:80', credentials) + request);
  await client.untilEnded();
  expect(client.text).toStartWith(`${CONNECTED}HTTP/1.1 200 OK\r\n`);
  expect(client.text).toContain('evil.test:443 refused (no-rule)');
  const nobody = await (await proxy.say(connectTo('clawctl.internal:80') + request)).untilEnded();
  expect(nobody.text).toStartWith('HTTP/1.1 407 ');
});

test('credentials reach no origin, no record and no answer', async () => {
  const server = origin((end) => end.send('hello'));
  const proxy = proxied({ policy, originPort: server.port, proxy: { agent: null } });
  const coded = Buffer.from(`bot:${TOKEN}`).toString('base64');
  const seen: string[] = [];
  for (const sent of [
    connectTo('good.test:22', basic('bot', TOKEN)),
    connectTo('evil.test:22', basic('bot', TOKEN)),
    connectTo('good.test:22', basic('rob', TOKEN)),
    connectTo('good.test:22', `Proxy-Authorization: Bearer ${TOKEN}\r\n`),
    connectTo(`${TOKEN}@good.test:22`, basic('bot', TOKEN)),
    connectTo('good.test:22', `${basic('bot', TOKEN)}: broken\r\n`),
  ]) {
    const client = await proxy.say(sent);
    await client.until((end) => end.text !== '' || end.ending !== null);
    client.socket.reset();
    seen.push(client.text);
  }
  const everything = JSON.stringify([
    seen,
    server.ends.map((end) => end.text),
    proxy.recorder.events,
    proxy.refusals,
    proxy.bugs,
  ]);
  expect(everything).not.toContain(TOKEN);
  expect(everything).not.toContain(coded);
  expect(everything).toContain('credentials-wrong');
});

test('one listener keeps its agents apart: each is judged by its own rules', async () => {
  const server = origin((end) => end.send('hello'));
  const proxy = proxied({
    policy: `agents: { bot: { allow: [{ host: good.test, ports: [22], addresses: [127.0.0.0/8] }] } }\n`,
    originPort: server.port,
    proxy: { agent: null },
  });
  proxy.tokens.set('eve', proxy.tokens.get('bot')!);
  await (await proxy.say(connectTo('good.test:22', basic('bot', TOKEN)))).untilText('hello');
  const eve = await (await proxy.say(connectTo('good.test:22', basic('eve', TOKEN)))).untilEnded();
  expect(eve.text).toContain('X-Clawctl-Reason: agent');
  const rows = proxy.recorder.events.flatMap((event) => (event.kind === 'decision' ? [event] : []));
  expect(rows.map(({ agent }) => agent)).toEqual(['bot', 'eve']);
  expect(new Set(rows.map(({ connection }) => connection)).size).toBe(2);
});
