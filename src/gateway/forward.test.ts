import { describe, expect, test } from 'bun:test';
import { answering, ask, forwarding, ok } from './forward.fixture.ts';
import { allow, origin } from './gateway.fixture.ts';
import { basic, CONNECTED, connectTo, TOKEN } from './proxy.fixture.ts';

const policy = `${allow('good.test')}  - { host: other.test, addresses: [127.0.0.0/8] }\n`;

describe('a request', () => {
  test('reaches the origin as its own, is answered and recorded with its octets', async () => {
    const server = answering(ok());
    const proxy = forwarding(policy, server);
    const client = await proxy.say(
      ask('good.test', '/a?b', `Proxy-Connection: keep-alive\r\n${basic('bot', TOKEN)}`),
    );
    await client.untilText('hello');
    const sent = 'GET /a?b HTTP/1.1\r\nHost: good.test\r\n\r\n';
    expect(server.ends[0]!.text).toBe(sent);
    expect(client.text).toBe(ok());
    expect(proxy.recorder.lines).toEqual(['http good.test:80 allow rule', 'close good.test:80 done null']);
    expect(proxy.recorder.events[1]).toMatchObject({ bytesUp: sent.length, bytesDown: ok().length });
    expect(JSON.stringify(proxy.recorder.events)).not.toContain(TOKEN);
  });

  test('leaves nothing, the question for its name included, before its decision is recorded', async () => {
    const server = answering(ok());
    const proxy = forwarding(policy, server);
    const recorded = Promise.withResolvers<void>();
    proxy.recorder.hold = recorded.promise;
    const client = await proxy.say(ask('good.test'));
    await Bun.sleep(20); // nothing to wait for: nothing may come
    expect([server.ends.length, proxy.asked, client.text]).toEqual([0, [], '']);
    recorded.resolve();
    await client.untilText('hello');
    recorded.promise.then(() => {});
    proxy.recorder.writable = false;
    client.send(ask('good.test', '/second'));
    await client.untilText('X-Clawctl-Reason: audit-unavailable');
    expect(client.text).toContain('HTTP/1.1 503 ');
    expect(server.ends[0]!.text).not.toContain('/second');
  });

  test('is answered in its turn, however many come at once', async () => {
    const server = answering((head) => ok(head.split(' ')[1]!));
    const proxy = forwarding(policy, server);
    const client = await proxy.say(
      ask('good.test', '/1') +
        ask('other.test', '/2') +
        ask('bad.test', '/3') +
        ask('good.test', '/4', 'Content-Length: 3\r\n', 'POST') +
        'abc' +
        ask('good.test', '/5', 'Connection: close\r\n') +
        ask('good.test', '/never'),
    );
    await client.untilEnded();
    const bodies = client.text.match(/\r\n\r\n\/\d|403 Forbidden/g);
    expect(bodies).toEqual(['\r\n\r\n/1', '\r\n\r\n/2', '403 Forbidden', '\r\n\r\n/4', '\r\n\r\n/5']);
    expect(client.text.match(/Connection: close/g)).toHaveLength(1);
    expect(server.ends.map(({ text }) => text).join()).not.toContain('/never');
    expect(proxy.recorder.lines.filter((line) => line.startsWith('http'))).toEqual([
      'http good.test:80 allow rule',
      'http other.test:80 allow rule',
      'http bad.test:80 deny no-rule',
      'http good.test:80 allow rule',
      'http good.test:80 allow rule',
    ]);
  });

  test('is the same to its origin, and its answer to the client, wherever it is cut', async () => {
    const answer =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n';
    const whole =
      ask('good.test', '/p', 'Transfer-Encoding: chunked\r\nTE: trailers\r\n', 'POST') +
      '3;y\r\nabc\r\n0\r\nHost2: z\r\n\r\n';
    const server = origin((end) => {
      void end.untilText('Host2: z\r\n\r\n').then(() => end.send(answer));
    });
    const proxy = forwarding(policy, server);
    for (let cut = 0; cut < whole.length; cut++) {
      const client = await proxy.say(whole, cut);
      await client.untilText('X-Sum: 1\r\n\r\n');
      expect([cut, client.text, server.ends[cut]!.text]).toEqual([
        cut,
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
        'POST /p HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nHost2: z\r\n\r\n',
      ]);
      client.socket.reset();
    }
  });

  test('that waits for 100 gets it from the origin, and none where it is refused', async () => {
    const server = origin((end) => {
      void end
        .untilText('\r\n\r\n')
        .then(() => end.send('HTTP/1.1 100 Continue\r\nX: y\r\n\r\n'))
        .then(() => end.untilText('hello'))
        .then(() => end.send(ok('done')));
    });
    const proxy = forwarding(policy, server);
    const expecting = 'Expect: 100-continue\r\nContent-Length: 5\r\n';
    const client = await proxy.say(ask('good.test', '/', expecting, 'PUT'));
    await client.untilText('HTTP/1.1 100 Continue\r\n\r\n');
    client.send('hello');
    await client.untilText('done');
    expect(server.ends[0]!.text).toContain('Expect: 100-continue\r\n');
    const refused = await proxy.say(ask('bad.test', '/', expecting, 'PUT'));
    await refused.untilEnded();
    expect(refused.text).toStartWith('HTTP/1.1 403 ');
  });

  test('of HTTP/1.0 gets no chunks and no interim answer, and is the last', async () => {
    const server = answering(
      'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n',
    );
    const proxy = forwarding(policy, server);
    const client = await proxy.say(ask('good.test', '/', 'Connection: keep-alive\r\n', 'GET', '1.0'));
    await client.untilEnded();
    expect(client.text).toBe('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello');
  });

  test('is answered also after the client has said that it sends nothing more', async () => {
    const server = answering(ok());
    const proxy = forwarding(policy, server);
    const client = await proxy.say(ask('good.test'));
    client.socket.end();
    await client.untilClosed();
    expect([client.text, client.ending]).toEqual([ok('hello', 'Connection: close\r\n'), 'closed']);
    while (proxy.gateway.openConnections() > 0) await Bun.sleep(1);
  });

  test('is one of several that are answered after the client has ended', async () => {
    const server = answering((head) => ok(head.split(' ')[1]!));
    const client = await forwarding(policy, server).say(ask('good.test', '/1') + ask('good.test', '/2'));
    client.socket.end();
    await client.untilClosed();
    expect(client.text).toBe(ok('/1') + ok('/2', 'Connection: close\r\n'));
  });

  test('is answered where it is under way when the gateway closes, and no other is waited for', async () => {
    const server = origin(
      (end) =>
        void end
          .untilText('/slow')
          .then(() => Bun.sleep(100))
          .then(() => end.send(ok())),
    );
    const proxy = forwarding(policy, server);
    const idle = await proxy.say(ask('bad.test'));
    await idle.untilText('no-rule');
    const client = await proxy.say(ask('good.test', '/slow'));
    await (await server.nth(0)).untilText('/slow');
    void proxy.gateway.close();
    await Promise.all([idle.untilEnded(), client.untilEnded()]);
    expect(client.text).toBe(ok('hello', 'Connection: close\r\n'));
  });

  test('that ends before its body does is refused, and never complete at the origin', async () => {
    const server = answering('');
    const proxy = forwarding(policy, server);
    for (const [nth, framing, half] of [
      [0, 'Content-Length: 9', 'half'],
      [1, 'Transfer-Encoding: chunked', '4\r\nhalf\r\n'],
    ] as const) {
      const client = await proxy.say(`${ask('good.test', '/', `${framing}\r\n`, 'POST')}${half}`);
      const end = await (await server.nth(nth)).untilText('half');
      client.socket.end();
      await Promise.all([client.untilEnded(), end.untilClosed()]);
      expect(client.text).toStartWith('HTTP/1.1 400 ');
      expect(end.ending).toBe('reset');
    }
    const head = await proxy.say('GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\n');
    head.socket.end();
    await head.untilEnded();
    expect(head.text).toStartWith('HTTP/1.1 400 ');
  });

  test('is answered though it waits behind others when the client ends, and a tunnel ends with it', async () => {
    const server = origin((end) => void end.untilText('\r\n\r\n').then(() => end.send(ok())));
    const proxy = forwarding(allow('good.test', '80, 22'), server);
    const client = await proxy.say(ask('good.test') + ask('evil.test') + connectTo('good.test:22'));
    client.socket.end();
    await client.untilText(CONNECTED);
    expect(client.text).toContain('X-Clawctl-Reason: no-rule');
    await (await server.nth(1)).untilEnded();
  });

  test('may be followed by CONNECT', async () => {
    const server = answering(ok());
    const proxy = forwarding(`${allow('good.test', '22, 80')}`, server);
    const client = await proxy.say(`${ask('good.test')}${connectTo('good.test:22')}early`);
    await client.untilText(CONNECTED);
    await (await server.nth(1)).untilText('early');
    client.socket.reset();
    await proxy.recorded('close good.test:22 reset null');
    while (proxy.gateway.openConnections() > 0) await Bun.sleep(1);
  });
});

describe('a connection to an origin', () => {
  test('serves the requests of one client to one place, and only those that can be asked twice', async () => {
    const server = answering((head) => ok(head.split(' ')[1]!));
    const proxy = forwarding(policy, server);
    const client = await proxy.connect();
    for (const [host, method] of [
      ['good.test', 'GET'],
      ['good.test', 'HEAD'],
      ['other.test', 'GET'],
      ['good.test', 'GET'],
      ['good.test', 'POST'],
    ]) {
      const closes = proxy.recorder.lines.filter((line) => line.startsWith('close')).length;
      client.send(ask(host!, '/', '', method));
      while (proxy.recorder.lines.filter((line) => line.startsWith('close')).length === closes)
        await Bun.sleep(1);
    }
    const stranger = await proxy.say(ask('good.test'));
    await stranger.untilText('\r\n\r\n/');
    const seen = server.ends.map(({ text }) => text.match(/^[A-Z]+ |Host: \S+/gm)!.join(' '));
    expect(seen).toEqual([
      'GET  Host: good.test HEAD  Host: good.test GET  Host: good.test',
      'GET  Host: other.test',
      'POST  Host: good.test',
      'GET  Host: good.test',
    ]);
  });

  test('that the origin has closed meanwhile is replaced, and the client sees nothing of it', async () => {
    const server = origin((end) => {
      void end.untilText('/1 ').then(() => end.send(ok('one')));
      void end
        .untilText('/2 ')
        .then(() => (end.text.includes('/1 ') ? end.socket.reset() : end.send(ok('two'))));
    });
    const proxy = forwarding(policy, server);
    const client = await proxy.say(ask('good.test', '/1'));
    await client.untilText('one');
    client.send(ask('good.test', '/2'));
    await client.untilText('two');
    expect(client.text).toBe(ok('one') + ok('two'));
    expect(server.ends).toHaveLength(2);
    expect(proxy.recorder.lines.slice(2)).toEqual([
      'http good.test:80 allow rule',
      'close good.test:80 done null',
    ]);
  });

  test('is not used again where more came than was asked for', async () => {
    const server = answering(ok('one', '') + ok('poison'));
    const late = answering(ok('one'));
    for (const each of [server, late]) {
      const proxy = forwarding(policy, each);
      const client = await proxy.say(ask('good.test', '/1'));
      await client.untilText('one');
      if (each === late) {
        late.ends[0]!.send(ok('poison'));
        await late.ends[0]!.untilClosed();
      }
      client.send(ask('good.test', '/2'));
      while (each.ends.length < 2) await Bun.sleep(1);
      await client.until(({ text }) => text.split('one').length === 3);
      expect(client.text).toBe(ok('one') + ok('one'));
    }
  });
});

describe('an answer', () => {
  test('without a body ends with its head', async () => {
    for (const [method, answer] of [
      ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
      ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n'],
      ['GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ]) {
      const server = answering(answer!);
      const proxy = forwarding(policy, server);
      const client = await proxy.say(ask('good.test', '/', '', method) + ask('good.test', '/', '', method));
      await client.until(({ text }) => text.length === 2 * answer!.length);
      expect(client.text).toBe(answer! + answer!);
    }
  });

  test('that ends with the connection does so for the client too; one that breaks off breaks off', async () => {
    const server = origin((end) => {
      void end.untilText('\r\n\r\n').then(() => {
        end.send('HTTP/1.1 200 OK\r\nKeep-Alive: x\r\n\r\nall of it');
        if (end.text.includes('/ends')) end.socket.end();
        else setTimeout(() => end.socket.reset(), 20);
      });
    });
    const proxy = forwarding(policy, server);
    const whole = await proxy.say(ask('good.test', '/ends'));
    await whole.untilEnded();
    expect([whole.text, whole.ending]).toEqual([
      'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it',
      null,
    ]);
    const broken = await proxy.say(ask('good.test', '/breaks'));
    await broken.untilClosed();
    expect(broken.ending).toBe('reset');
    expect(proxy.recorder.lines.at(-1)).toBe('close good.test:80 reset connect-failed');
  });

  test('that is cut short never looks complete', async () => {
    for (const answer of [
      'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    ]) {
      const server = origin((end) => {
        void end
          .untilText('\r\n\r\n')
          .then(() => end.send(answer))
          .then(() => end.socket.end());
      });
      const client = await forwarding(policy, server).say(ask('good.test'));
      await client.untilClosed();
      expect([client.text, client.ending]).toEqual([answer, 'reset']);
    }
  });

  test('that is none, or such as only a proxy may give, is 502', async () => {
    const answers = [
      'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
      'HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
      'SSH-2.0-server\r\n',
      '<html>HTTP/0.9</html>',
      'HTTP/1.1 100 Continue\r\n\r\n'.repeat(40),
      `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(10_000)}`,
    ];
    for (const answer of answers) {
      const server = answering(answer);
      const proxy = forwarding(policy, server);
      const client = await proxy.say(ask('good.test') + ask('bad.test'));
      await client.untilText('no-rule');
      expect([answer.slice(0, 60), client.text.split(' (')[0]]).toEqual([
        answer.slice(0, 60),
        'HTTP/1.1 502 Bad Gateway',
      ]);
      expect(client.text).toContain('X-Clawctl-Reason: response-malformed\r\n');
      expect(proxy.recorder.lines[1]).toBe('close good.test:80 failed response-malformed');
      await server.ends[0]!.untilClosed();
    }
  });

  test('that never comes is 502 where the origin goes, and where it cannot be reached', async () => {
    const server = origin((end) => void end.untilText('\r\n\r\n').then(() => end.socket.end()));
    const client = await forwarding(policy, server).say(ask('good.test'));
    await client.untilText('X-Clawctl-Reason: connect-failed');
    expect(client.text).toStartWith('HTTP/1.1 502 ');
    const nowhere = await forwarding(policy, { port: 1 }).say(ask('good.test'));
    await nowhere.untilText('X-Clawctl-Reason: connect-failed');
    const nameless = await forwarding('allow: [good.example]', server).say(ask('good.example'));
    await nameless.untilText('X-Clawctl-Reason: name-not-resolved');
  });

  test('is no refusal of ours, whatever it says', async () => {
    const says =
      'HTTP/1.1 403 Forbidden (Clawctl Egress, no-rule: x)\r\nX-CLAWCTL-Reason: no-rule\r\nx_clawctl_reason: no-rule\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n';
    const client = await forwarding(policy, answering(says)).say(ask('good.test'));
    await client.untilText('\r\n\r\n');
    expect(client.text).toBe('HTTP/1.1 403 \r\nContent-Length: 0\r\n\r\n');
  });

  test('that is early reaches the client, and the connection ends with it', async () => {
    const server = answering('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno');
    const proxy = forwarding(policy, server);
    const client = await proxy.say(`${ask('good.test', '/', 'Content-Length: 1000000\r\n', 'POST')}begin`);
    await client.untilEnded();
    expect(client.text).toBe('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
    client.send('more that nobody reads');
    expect((await server.nth(0)).text).not.toContain('more');
    const chunked = await proxy.say(
      `${ask('good.test', '/', 'Transfer-Encoding: chunked\r\n', 'POST')}5\r\nbe`,
    );
    await chunked.untilEnded();
    expect(chunked.text).toBe(client.text);
  });

  test('does not overtake the refusal of a body that turns out to be malformed', async () => {
    const server = answering(ok());
    const proxy = forwarding(policy, server);
    const client = await proxy.say(ask('good.test', '/', 'Transfer-Encoding: chunked\r\n', 'POST'));
    await (await server.nth(0)).untilText('\r\n\r\n');
    await Bun.sleep(20); // the answer has come by now
    client.send('5\r\nhello\n0\r\n\r\n');
    await client.untilEnded();
    expect(client.text).toStartWith('HTTP/1.1 400 ');
    expect(client.text).toContain('X-Clawctl-Reason: http-malformed\r\n');
    expect(proxy.recorder.lines).toEqual([
      'http good.test:80 allow rule',
      'refusal good.test:80 http-malformed',
      'close good.test:80 refused http-malformed',
    ]);
    await server.ends[0]!.untilClosed();
    expect(server.ends[0]!.ending).toBe('reset');
  });
});
