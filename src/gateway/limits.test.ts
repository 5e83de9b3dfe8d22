import { describe, expect, test } from 'bun:test';
import { address, allow, gateway, get, origin } from './gateway.fixture.ts';

describe('time limits', () => {
  test('a connection on which nothing moves is reset', async () => {
    const server = origin((end) => end.send('hello'));
    const fence = gateway({
      policy: `${allow('good.test', '22')}limits: { idle: 1s }\n`,
      originPort: server.port,
    });
    const client = await (await fence.client('good.test', 22)).untilText('hello');
    await client.untilClosed();
    await fence.recorded('close good.test:22 reset idle-timeout');
    await server.ends[0]!.untilClosed();
    expect(fence.gateway.openConnections()).toBe(0);
  });

  test('a client on an explicit port may be silent as long as it likes, but not stop within a request', async () => {
    const server = origin();
    const fence = gateway({
      policy: allow('good.test', '8080'),
      originPort: server.port,
      options: { times: { firstBytes: 100 } },
    });
    const silent = await fence.client('good.test', 8080);
    const slow = await fence.client('good.test', 8080);
    slow.send('GET / HTTP/1.1\r\nHo');
    await slow.untilClosed();
    expect(fence.recorder.lines).toContain('refusal good.test:8080 first-bytes-late');
    silent.send('hello\n');
    await (await server.nth(0)).untilText('hello\n');
  });

  test('on an explicit port a word without an end of line goes out, but no more of a request than its line', async () => {
    const server = origin();
    const fence = gateway({
      policy: allow('good.test', '8080'),
      originPort: server.port,
      options: { times: { farewell: 100, firstBytes: 500 } },
    });
    const word = await fence.client('good.test', 8080);
    word.send('abc');
    await (await server.nth(0)).untilText('abc');
    const sly = await fence.client('good.test', 8080);
    sly.send('GET / HTTP/1.1');
    const taken = await server.nth(1);
    await taken.untilText('GET / HTTP/1.1');
    sly.send('\r\nHost: evil.test\r\n\r\n');
    await sly.untilClosed();
    expect(fence.recorder.lines).toContain('refusal good.test:8080 host-mismatch');
    expect(taken.text).toBe('GET / HTTP/1.1');
    // A server that takes a bare CR for the end of a line does not get to see a second one.
    const bare = await fence.client('good.test', 8080);
    bare.send('GET / HTTP/1.1');
    await (await server.nth(2)).untilText('GET / HTTP/1.1');
    bare.send('\rHost: evil.test\r\r');
    await bare.untilClosed();
    expect((await server.nth(2)).text).toBe('GET / HTTP/1.1');
    const honest = await fence.client('good.test', 8080);
    honest.send('GET / HTTP/1.1');
    await (await server.nth(3)).untilText('GET / HTTP/1.1');
    honest.send('\r\nHost: good.test:8080\r\n\r\n');
    await (await server.nth(3)).untilText('GET / HTTP/1.1\r\nHost: good.test:8080\r\n\r\n');
  });

  test('a refused client that does not go is made to', async () => {
    const fence = gateway({
      policy: 'mode: enforce\n',
      options: { times: { farewell: 100, firstBytes: 100 } },
    });
    const told = await fence.client('evil.test', 80);
    told.send(get('evil.test'));
    await told.untilClosed();
    const silent = await fence.client('evil.test', 443);
    await silent.untilClosed();
    expect(fence.gateway.openConnections()).toBe(0);
    expect(fence.recorder.lines.length).toBe(2);
  });
});

describe('closing the gateway', () => {
  test('lets what a client left behind arrive, and resets what does not end', async () => {
    const server = origin();
    const fence = gateway({ policy: allow('good.test', '514'), originPort: server.port });
    const sender = await fence.client('good.test', 514);
    const size = 8 * 1024 * 1024;
    sender.send(Buffer.alloc(size, 'x\n'));
    sender.socket.end();
    const holder = await fence.client('good.test', 514);
    const closed = fence.gateway.close();
    const end = await (await server.nth(0)).untilEnded();
    expect(end.text.length).toBe(size);
    end.socket.end();
    await closed;
    await holder.untilClosed();
    expect(fence.gateway.openConnections()).toBe(0);
  });
});

describe('observe mode', () => {
  test('lets through what no rule allows, marked, but not what a rule denies', async () => {
    const server = origin((end) => end.send('hello'));
    const fence = gateway({
      policy: 'mode: observe\ndeny: [evil.test]\n',
      names: { 'good.test': ['203.0.113.7'] },
      options: {
        dial: async () => {
          const { dial } = await import('../net/dial.ts');
          return dial([address('127.0.0.1')], server.port, { timeout: 1_000 });
        },
      },
    });
    await (await fence.client('good.test', 22)).untilText('hello');
    const [event] = fence.recorder.events;
    expect(event?.kind === 'decision' && [event.verdict, event.reason, event.wouldDeny]).toEqual([
      'allow',
      'observed',
      true,
    ]);
    await (await fence.client('evil.test', 22)).untilClosed();
    expect(fence.recorder.lines).toContain('tcp evil.test:22 deny denied');
  });
});
