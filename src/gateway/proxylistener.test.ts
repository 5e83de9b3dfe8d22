import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { parseRange } from '../names/range.ts';
import { allow, get, origin } from './gateway.fixture.ts';
import { basic, CONNECTED, connectTo, proxied, socks, TOKEN } from './proxy.fixture.ts';

const policy = allow('good.test', '22, 80, 443');
const loopback = [parseRange('127.0.0.0/8')!];
const elsewhere = [parseRange('10.0.0.0/8')!];
const from = 'agents: { bot: { from: [192.0.2.0/24] } }\n';

/** A PROXY header for a client at 192.0.2.7 that connected to 198.51.100.9:8880. */
const header = (command = 0x21, last = 7) =>
  String.fromCharCode(
    ...[13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10],
    ...[command, 0x11, 0, 12, 192, 0, 2, last, 198, 51, 100, 9, 0x30, 0x39, 0x22, 0xb0],
  );

describe('a proxy listener', () => {
  test('closes and records what is no protocol of its own', async () => {
    const proxy = proxied({ policy });
    for (const sent of [
      '\x16\x03\x01\x02\0\x01',
      '\x04\x01',
      ' GET / HTTP/1.1\r\n',
      header(),
      '\0',
      '\r\n',
    ]) {
      const client = await (await proxy.say(sent)).untilClosed();
      expect([sent, client.text, client.ending]).toEqual([sent, '', 'reset']);
    }
    expect(proxy.recorder.lines).toEqual(Array(6).fill('tcp (unread):0 deny not-proxy'));
  });

  test('lets go of who says nothing, without a record of it', async () => {
    const proxy = proxied({ policy, options: { times: { head: 100 } } });
    await (await proxy.connect()).untilClosed();
    const polite = await proxy.connect();
    polite.socket.end();
    await polite.untilClosed();
    expect(proxy.recorder.events).toEqual([]);
    expect(proxy.gateway.openConnections()).toBe(0);
  });

  test('serves others while many clients do not finish what they say: the oldest have to go', async () => {
    const server = origin();
    const proxy = proxied({ policy: `${policy}limits: { connections: 20 }\n`, originPort: server.port });
    const slow = await Promise.all(Array.from({ length: 20 }, () => proxy.say('CONNECT good.te')));
    while (proxy.gateway.openConnections() < 20) await Bun.sleep(1);
    await Bun.sleep(20); // until what they say has arrived
    const client = await proxy.say(connectTo('good.test:22'));
    await client.untilText(CONNECTED);
    const first = await Promise.race(slow.map((end) => end.untilEnded()));
    expect(first.text).toContain('X-Clawctl-Reason: limit-total');
    expect(slow.filter((end) => end.ended || end.ending !== null).length).toBeLessThanOrEqual(2);
  });
});

test('a listener without descriptors resets newcomers, records it, and serves again when one is free', async () => {
  const server = origin((end) => end.send('server'));
  const gate = proxied({ policy, originPort: server.port, options: { capacity: 3 } });
  const open = () => gate.say(connectTo('good.test:22'));
  const [first] = [await open(), await open(), await open()];
  await Promise.all(server.ends.map((end) => end.until(() => true)));
  while (gate.recorder.lines.length < 3) await Bun.sleep(1);
  expect((await (await open()).untilClosed()).ending).toBe('reset');
  expect(gate.recorder.lines).toContain('tcp (unread):0 deny limit-total');
  expect(gate.gateway.openConnections()).toBe(3);
  first!.socket.reset();
  while (gate.gateway.openConnections() > 2) await Bun.sleep(1);
  await (await open()).untilText('server');
});

test('who is not counted as one of any agent makes room for those who are served', async () => {
  const known = basic('bot', TOKEN);
  const web = `GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\n`;
  const refused = `GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n${known}\r\n`;
  const told = connectTo('evil.test:22', known);
  for (const said of ['', '\x05', 'CONNECT good', 'GET http://good', `${web}\r\n`, refused, told]) {
    const server = origin((end) => end.send('server'));
    const options = { capacity: 4 };
    const gate = proxied({ policy, originPort: server.port, proxy: { agent: null }, options });
    const served = await gate.say(connectTo('good.test:22', known));
    await served.untilText('server');
    const idle = await Promise.all(Array.from({ length: 12 }, () => gate.say(said)));
    while (idle.filter(({ ending }) => ending === null).length > 3) await Bun.sleep(1);
    await (await gate.say(connectTo('good.test:22', known))).untilText('server');
    expect([said, gate.gateway.openConnections(), served.ending]).toEqual([said, 4, null]);
  }
});

describe('behind a balancer', () => {
  const proxy = { agent: null, proxyProtocol: loopback };

  test('a client is known by the address that the balancer says, cut anywhere', async () => {
    const server = origin((end) => end.send('server'));
    const gate = proxied({ policy: policy + from, originPort: server.port, proxy });
    const sent = header() + connectTo('good.test:22');
    for (let cut = 0; cut < sent.length; cut += 2)
      await (await gate.say(sent, cut)).untilText(`${CONNECTED}server`);
    const bySocks = await gate.say(header() + socks.greeting + socks.request('good.test', 22));
    await bySocks.untilText('server');
    expect(gate.recorder.events.every((event) => event.agent === 'bot')).toBe(true);
  });

  test('nobody is known where the balancer speaks for itself, or does not say', async () => {
    const gate = proxied({ policy: `${policy}agents: { bot: { from: [127.0.0.0/8, 192.0.2.7] } }\n`, proxy });
    for (const said of [header(0x20), header(0x21, 8)]) {
      const client = await (await gate.say(said + connectTo('good.test:22'))).untilEnded();
      expect(client.text).toStartWith('HTTP/1.1 407 ');
    }
    await (await gate.say(header(0x31))).untilClosed();
    expect(gate.recorder.events.map(({ agent }) => agent)).toEqual(['-', '-', '-']);
  });

  test('the header must come first, and be right', async () => {
    const gate = proxied({ policy: policy + from, proxy });
    for (const sent of [
      connectTo('good.test:22'),
      'PROXY TCP4 192.0.2.7 198.51.100.9 12345 8880\r\n',
      header(0x31),
      socks.greeting,
    ]) {
      const client = await (await gate.say(sent)).untilClosed();
      expect(client.text).toBe('');
    }
    expect(gate.recorder.lines).toEqual(Array(4).fill('tcp (unread):0 deny proxy-protocol'));
  });

  test('nobody else may send a header: it would be a way to be somebody else', async () => {
    const gate = proxied({ policy: policy + from, proxy: { agent: null, proxyProtocol: elsewhere } });
    const client = await (await gate.say(header() + connectTo('good.test:22'))).untilClosed();
    expect(client.text).toBe('');
    expect(gate.recorder.lines).toEqual(['tcp (unread):0 deny not-proxy']);
  });
});

describe('with TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'clawctl-'));
  const tls = { certificate: '', key: '' };
  beforeAll(async () => {
    const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')];
    const made = Bun.spawn(
      [
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-subj',
      ].concat('/CN=proxy.test', '-days', '30', '-keyout', key, '-out', certificate),
      { stderr: 'ignore' },
    );
    await made.exited;
    tls.key = readFileSync(key, 'utf8');
    tls.certificate = readFileSync(certificate, 'utf8');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Says this over TLS, behind what is said in clear, and answers what comes back until the end. */
  async function over(port: number, clear: string, sent: string, until: string): Promise<string> {
    const { connect } = await import('node:net');
    const raw = connect({ port, host: '127.0.0.1' });
    raw.write(Buffer.from(clear, 'latin1'));
    const client = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
    client.write(Buffer.from(sent, 'latin1'));
    let text = '';
    await new Promise<void>((resolve) => {
      client.on('data', (bytes) => {
        text += bytes.toString('latin1');
        if (text.endsWith(until)) resolve();
      });
      for (const event of ['end', 'error', 'close']) client.on(event, () => resolve());
    });
    client.destroy();
    raw.destroy();
    return text;
  }

  for (const proxyProtocol of [[], loopback])
    test(`a proxy is reached ${proxyProtocol.length > 0 ? 'behind a balancer' : 'directly'}, and reads as any other`, async () => {
      // So much of it that without TLS the kernel would carry it.
      const much = 'x'.repeat(24 << 20);
      const server = origin((end) => end.send(`server${much}done`));
      const gate = proxied({ policy, originPort: server.port, proxy: { tls, proxyProtocol } });
      const clear = proxyProtocol.length > 0 ? header() : '';
      const open = await over(gate.port, clear, connectTo('good.test:22'), 'done');
      expect(open === `${CONNECTED}server${much}done`).toBe(true);
      const refused = await over(gate.port, clear, connectTo('evil.test:22'), 'never');
      expect(refused).toContain('evil.test:22 refused (no-rule)');
      const bySocks = await over(gate.port, clear, socks.greeting + socks.request('evil.test', 22), 'never');
      expect(bySocks).toBe(socks.chosen + socks.reply(2));
    });

  test('a client that does not speak it, or stops within its handshake, is let go', async () => {
    const gate = proxied({ policy, proxy: { tls }, options: { times: { head: 100 } } });
    expect((await (await gate.say(connectTo('good.test:22'))).untilClosed()).text).not.toContain('HTTP');
    await (await gate.say('\x16\x03\x01\x02\0\x01')).untilClosed();
    while (gate.gateway.openConnections() > 0) await Bun.sleep(5);
    expect(gate.recorder.lines.filter((line) => line.includes('allow'))).toEqual([]);
  });
});

describe('curl', () => {
  const server = createServer((request, response) =>
    response.end(`${request.url} ${JSON.stringify(request.headers)}`),
  );
  let port = 0;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => server.close());

  const curl = async (...options: string[]) => {
    const child = Bun.spawn(['curl', '-sS', '--max-time', '5', ...options], {
      stdout: 'pipe',
      stderr: 'pipe',
      env: {},
    });
    return (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
  };

  test('reaches what is allowed by every protocol, and is told what is not', async () => {
    const gate = proxied({ policy, originPort: port, proxy: { agent: null } });
    const proxy = `127.0.0.1:${gate.port}`;
    const known = ['--proxy-user', `bot:${TOKEN}`];
    for (const way of [
      ['-p', '-x', `http://${proxy}`],
      ['--socks5-hostname', proxy],
      ['-x', `http://${proxy}`],
    ]) {
      const answer = await curl(...way, ...known, 'http://good.test/path');
      expect(answer).toStartWith('/path {"host":"good.test"');
      expect(answer.toLowerCase()).not.toContain('proxy-');
    }
    expect(await curl('-p', '-x', `http://${proxy}`, ...known, 'http://evil.test/')).toContain(
      'response 403',
    );
    expect(await curl('-p', '-x', `http://${proxy}`, 'http://good.test/')).toContain('response 407');
    expect(await curl('-x', `http://${proxy}`, ...known, 'http://evil.test/')).toContain(
      'clawctl egress add evil.test',
    );
    expect(await curl('--socks5-hostname', proxy, ...known, 'http://evil.test/')).toContain('(2)');
    expect(await curl('--socks5-hostname', proxy, 'http://good.test/')).toContain('No authentication method');
    expect(await curl('--socks5-hostname', proxy, '--proxy-user', 'bot:no', 'http://good.test/')).toContain(
      'rejected',
    );
  });
});

test('requests for URLs and for tunnels may take turns on one connection', async () => {
  const server = origin((end) => {
    void end.untilText('\r\n\r\n').then(() => end.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  });
  const gate = proxied({ policy, originPort: server.port, proxy: { agent: null } });
  const credentials = basic('bot', TOKEN);
  const client = await gate.say(`GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\n${credentials}\r\n`);
  await client.untilText('\r\n\r\nok');
  client.send(connectTo('good.test:80', credentials) + get('good.test'));
  await client.untilText(CONNECTED);
  await client.until((end) => end.text.endsWith('ok') && end.text.includes(`${CONNECTED}HTTP/1.1 200 OK`));
  expect(JSON.stringify(server.ends.map((end) => end.text))).not.toContain('Authorization');
});
