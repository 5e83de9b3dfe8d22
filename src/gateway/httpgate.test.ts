import { describe, expect, test } from 'bun:test';
import { allow, End, gateway, get, origin, policyOf } from './gateway.fixture.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const post = (host: string, body: string) =>
  `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (host: string) =>
  `PUT / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n`;

/** Answers each request head that it sees; good enough for heads without bodies in the way. */
function web() {
  return origin((end) => {
    let answered = 0;
    end.socket.handler = new (class extends End {
      override onData(_socket: typeof end.socket, bytes: Uint8Array) {
        end.onData(end.socket, bytes);
        const heads = end.text.split(/ HTTP\/1\.[01]\r\n/).length - 1;
        for (; answered < heads; answered++) end.send(ANSWER);
      }
      override onEnd() {
        end.onEnd();
        end.socket.end();
      }
      override onClose(_socket: typeof end.socket, ending: 'closed' | 'reset') {
        end.onClose(end.socket, ending);
      }
    })();
  });
}

const setting = (policy = allow('good.test')) => {
  const server = web();
  return { server, fence: gateway({ policy, originPort: server.port }) };
};

const reasonIn = (text: string) => /X-Clawctl-Reason: (.*)\r/.exec(text)?.[1] ?? null;

/** What a client sees and the origin gets when these bytes are sent, cut in two at `cut`. */
async function outcome(bytes: string, cut: number, port = 80, policy?: string) {
  const { server, fence } = setting(policy ?? allow('good.test', `${port}`));
  const client = await fence.client('good.test', port);
  client.send(bytes.slice(0, cut));
  if (cut > 0 && cut < bytes.length) await new Promise((resolve) => setImmediate(resolve));
  client.send(bytes.slice(cut));
  client.socket.end();
  await client.untilClosed();
  return {
    status: client.text.match(/HTTP\/1\.1 \d+/g) ?? [],
    reason: reasonIn(client.text),
    reset: client.ending === 'reset',
    reached: server.ends[0]?.text ?? '',
    lines: fence.recorder.lines.filter((line) => !line.startsWith('close')),
  };
}

describe('port 80', () => {
  test('every request of a kept-alive connection is looked at and recorded', async () => {
    const { server, fence } = setting();
    const client = await fence.client('good.test', 80);
    for (let nth = 1; nth <= 9; nth++) {
      client.send(get('good.test', `/${nth}`));
      await client.until((end) => end.text.split('ok').length === nth + 1);
    }
    client.send(get('evil.test', '/10'));
    await client.untilEnded();
    expect(reasonIn(client.text)).toBe('host-mismatch');
    expect(server.ends[0]!.text).toContain('/9');
    expect(server.ends[0]!.text).not.toContain('/10');
    client.socket.end();
    await client.untilClosed();
    await fence.recorded('close good.test:80 refused host-mismatch');
    expect(fence.recorder.lines.filter((line) => line === 'http good.test:80 allow rule').length).toBe(10);
    expect(fence.recorder.lines.filter((line) => line === 'close good.test:80 done null').length).toBe(9);
    expect(fence.recorder.lines).toContain('refusal good.test:80 host-mismatch');
    const ids = fence.recorder.events.flatMap((event) =>
      event.kind === 'decision' ? [event.connection] : [],
    );
    expect(new Set(ids).size).toBe(10);
  });

  test('a refusal waits for the answers to the requests before it', async () => {
    const server = origin((end) => {
      void end.untilEnded().then(() => {
        end.send(ANSWER.slice(0, 20));
        setTimeout(() => {
          end.send(`${ANSWER.slice(20)}${ANSWER}`);
          end.socket.end();
        }, 20);
      });
    });
    const fence = gateway({ policy: allow('good.test'), originPort: server.port });
    const client = await fence.client('good.test', 80);
    client.send(get('good.test', '/1') + get('good.test', '/2') + get('evil.test', '/3'));
    await client.untilEnded();
    expect(client.text).toStartWith(`${ANSWER}${ANSWER}HTTP/1.1 403 Forbidden`);
    expect(server.ends[0]!.text).toBe(get('good.test', '/1') + get('good.test', '/2'));
  });

  test('bodies pass by length and by chunks, pipelined, cut anywhere', async () => {
    const bytes = post('good.test', 'body') + chunked('GOOD.test.') + get('good.test:80');
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { status, reached } = await outcome(bytes, cut);
      expect([cut, status.length, reached]).toEqual([cut, 3, bytes]);
    }
  });

  const hostile: Array<[string, string, string | null]> = [
    ['another host', get('evil.test'), 'host-mismatch'],
    ['another port', get('good.test:8080'), 'host-mismatch'],
    ['an address', get('127.0.0.1'), 'host-mismatch'],
    ['no host', 'GET / HTTP/1.0\r\n\r\n', 'host-mismatch'],
    ['an absolute URL of another host', get('good.test', 'http://evil.test/'), 'http-malformed'],
    ['an absolute URL and Host of another host', get('evil.test', 'http://evil.test/'), 'host-mismatch'],
    ['two hosts', get('good.test', '/', 'Host: evil.test\r\n'), 'http-malformed'],
    [
      'a second request in a body that is none',
      post('good.test', '').replace(': 0', ': +0'),
      'http-malformed',
    ],
    [
      'both framings',
      chunked('good.test').replace('\r\n\r\n', '\r\nContent-Length: 3\r\n\r\n'),
      'http-malformed',
    ],
    ['CONNECT', 'CONNECT good.test:80 HTTP/1.1\r\nHost: good.test:80\r\n\r\n', 'http-upgrade'],
    ['an upgrade', get('good.test', '/', 'Connection: upgrade\r\nUpgrade: websocket\r\n'), 'http-upgrade'],
    ['an upgrade to h2c', get('good.test', '/', 'Connection: upgrade\r\nUpgrade: h2c\r\n'), 'http-upgrade'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', null],
    ['TLS', '\x16\x03\x01\x00\x05hello', null],
    ['ssh', 'SSH-2.0-OpenSSH_9.7\r\n', null],
    ['lower case', 'get / HTTP/1.1\r\nHost: good.test\r\n\r\n', 'http-malformed'],
    ['bare line feeds', 'GET / HTTP/1.1\nHost: good.test\n\n', 'http-malformed'],
  ];
  for (const [what, bytes, reason] of hostile)
    test(`${what}: nothing of it goes out, wherever it is cut`, async () => {
      const whole = await outcome(bytes, 0);
      expect([whole.reason, whole.reached]).toEqual([reason, '']);
      if (reason === null) expect(whole.reset).toBe(true);
      for (let cut = 1; cut < bytes.length; cut++)
        expect([cut, await outcome(bytes, cut)]).toEqual([cut, whole]);
    });

  test('a chunked body that goes wrong ends the connection before the wrong part goes out', async () => {
    const start = 'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n';
    const { reached, lines } = await outcome(
      `${start}5\r\nhelloGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n`,
      start.length,
    );
    expect(reached).toBe(start);
    expect(lines).toContain('refusal good.test:80 http-malformed');
  });

  test('a policy that changes between two requests holds for the second', async () => {
    const { server, fence } = setting();
    const client = await fence.client('good.test', 80);
    client.send(get('good.test', '/1'));
    await client.untilText('ok');
    fence.state.policy = policyOf('deny: [good.test]\n');
    client.send(get('good.test', '/2'));
    await client.untilEnded();
    expect(reasonIn(client.text)).toBe('denied');
    expect(server.ends[0]!.text).not.toContain('/2');
    expect(fence.recorder.lines).toContain('http good.test:80 deny denied');
  });

  test('a further request waits until it is recorded, and is refused if it cannot be', async () => {
    const { server, fence } = setting();
    const client = await fence.client('good.test', 80);
    client.send(get('good.test', '/1'));
    await client.untilText('ok');
    fence.recorder.writable = false;
    client.send(get('good.test', '/2'));
    await client.untilEnded();
    expect(reasonIn(client.text)).toBe('audit-unavailable');
    expect(server.ends[0]!.text).not.toContain('/2');
  });

  test('a head that never ends is given up', async () => {
    const server = web();
    const fence = gateway({
      policy: allow('good.test'),
      originPort: server.port,
      options: { times: { firstBytes: 100, farewell: 100 } },
    });
    const client = await fence.client('good.test', 80);
    client.send('GET / HTTP/1.1\r\nHost: good');
    await client.untilClosed();
    expect(fence.recorder.lines).toContain('refusal good.test:80 first-bytes-late');
    const long = await fence.client('good.test', 80);
    long.send(`GET / HTTP/1.1\r\nHost: good.test\r\nX: ${'y'.repeat(40_000)}`);
    await long.untilEnded();
    expect(reasonIn(long.text)).toBe('http-malformed');
  });
});

describe('an explicit port', () => {
  test('where HTTP is spoken, the host must be the target too', async () => {
    const policy = allow('good.test', '8080');
    expect((await outcome(get('good.test:8080'), 0, 8080, policy)).reached).toBe(get('good.test:8080'));
    for (const hostile of [
      get('evil.test:8080'),
      `\r\n${get('evil.test')}`,
      get('good.test') + get('evil.test'),
    ]) {
      const { reached } = await outcome(hostile, 3, 8080, policy);
      expect(reached).not.toContain('evil');
    }
  });

  test('lets a WebSocket through once the origin has agreed to it, and not before', async () => {
    const upgrade = get('good.test:8080', '/', 'Connection: upgrade\r\nUpgrade: websocket\r\n');
    for (const agrees of [true, false]) {
      const server = origin(async (end) => {
        await end.untilText('\r\n\r\n');
        if (agrees) end.send('HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
        else end.send(ANSWER);
      });
      const fence = gateway({ policy: allow('good.test', '8080'), originPort: server.port });
      const client = await fence.client('good.test', 8080);
      client.send(`${upgrade}\x81\x05hello\n`);
      if (agrees) {
        await (await server.nth(0)).untilText('\x81\x05hello\n');
        continue;
      }
      await client.untilEnded();
      expect(server.ends[0]!.text).toBe(upgrade);
      expect(fence.recorder.lines).toContain('refusal good.test:8080 http-malformed');
    }
  });
});

test('HTTP never changes after a body: what the origin says in the middle of its answer may be the words of the client', async () => {
  const changing = 'HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';
  const upgrade = 'Connection: upgrade\r\nUpgrade: websocket\r\n';
  const server = origin();
  const fence = gateway({ policy: allow('good.test', '8080'), originPort: server.port });
  for (const [method, more] of [
    ['POST', `Content-Length: ${changing.length + 1}\r\n${upgrade}`],
    ['GET', `Content-Length: ${changing.length + 1}\r\n${upgrade}`],
    ['GET', 'Upgrade: websocket\r\n'],
  ]) {
    const client = await fence.client('good.test', 8080);
    client.send(`${method} /echo HTTP/1.1\r\nHost: good.test:8080\r\n${more}\r\n${changing}`);
    await client.untilText('X-Clawctl-Reason: http-upgrade');
  }
  expect(server.ends.map(({ text }) => text).join('')).toBe('');
});

test('on port 80 HTTP changes to what a rule names, once the origin has agreed, and to nothing else', async () => {
  const asking = (protocol: string) =>
    get('good.test', '/', `Connection: upgrade\r\nUpgrade: ${protocol}\r\n`);
  for (const [agrees, protocol] of [
    [true, 'websocket'],
    [false, 'websocket'],
    [true, 'h2c'],
  ] as const) {
    const server = origin((end) => {
      void end.untilText('\r\n\r\n').then(() => {
        const answer = agrees
          ? `101 S\r\nConnection: upgrade\r\nUpgrade: ${protocol}`
          : '200 OK\r\nContent-Length: 0';
        end.send(`HTTP/1.1 ${answer}\r\n\r\n`);
      });
      void end.untilEnded().then(() => end.socket.end());
    });
    const fence = gateway({
      policy: allow('good.test', '80', ', upgrade: [websocket]'),
      originPort: server.port,
    });
    const client = await fence.client('good.test', 80);
    client.send(`${asking(protocol)}\x81\x05hello\n`);
    if (protocol === 'h2c') await client.untilText('X-Clawctl-Reason: http-upgrade');
    else if (agrees) await (await server.nth(0)).untilText('\x81\x05hello\n');
    else await fence.recorded('refusal good.test:80 http-malformed');
    expect((server.ends[0]?.text ?? '').includes('hello')).toBe(agrees && protocol === 'websocket');
  }
});
