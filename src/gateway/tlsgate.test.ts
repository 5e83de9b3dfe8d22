import { describe, expect, test } from 'bun:test';
import { allow, gateway, origin, policyOf } from './gateway.fixture.ts';

const u16 = (n: number) => [(n >> 8) & 255, n & 255];
const u24 = (n: number) => [(n >> 16) & 255, ...u16(n)];
const ascii = (text: string) => [...Buffer.from(text, 'latin1')];
const extension = (type: number, body: number[]) => [...u16(type), ...u16(body.length), ...body];
const serverName = (name: string) => {
  const entry = [0, ...u16(name.length), ...ascii(name)];
  return extension(0, [...u16(entry.length), ...entry]);
};
const ECH = extension(0xfe0d, [
  0,
  0,
  1,
  0,
  1,
  7,
  ...u16(32),
  ...new Array(32).fill(3),
  ...u16(4),
  5,
  5,
  5,
  5,
]);
const record = (body: number[], type = 22) => [type, 3, 1, ...u16(body.length), ...body];
const random = new Array(32).fill(7);

function hello(name: string | null, extra: number[] = []): number[] {
  const extensions = [...(name === null ? [] : serverName(name)), ...extension(43, [2, 3, 4]), ...extra];
  const body = [3, 3, ...random, 0, ...u16(2), 0x13, 1, 1, 0, ...u16(extensions.length), ...extensions];
  return [1, ...u24(body.length), ...body];
}

const RETRY = [...Buffer.from('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c', 'hex')];
function serverHello(retry: boolean): number[] {
  const extensions = extension(43, [3, 4]);
  const body = [3, 3, ...(retry ? RETRY : random), 0, 0x13, 1, 0, ...u16(extensions.length), ...extensions];
  return record([2, ...u24(body.length), ...body]);
}

const bytes = (...parts: number[][]) => Uint8Array.from(parts.flat());
const latin1 = (data: Uint8Array) => Buffer.from(data).toString('latin1');
const ALERT = latin1(bytes([21, 3, 3, 0, 2, 2, 49]));
const CCS = record([1], 20);
const early = record(new Array(100).fill(9), 23);

const fenceFor = (policy: string, speak?: Parameters<typeof origin>[0]) => {
  const server = origin(speak);
  return { server, fence: gateway({ policy, originPort: server.port }) };
};

/** What the client is told and the origin gets when this is sent, in two pieces. */
async function outcome(
  first: Uint8Array,
  cut = 0,
  policy = allow('good.test', '443'),
  host = 'good.test',
  port = 443,
) {
  const { server, fence } = fenceFor(
    policy,
    (end) => void end.until(() => end.text.length >= first.length).then(() => end.send('hi')),
  );
  const client = await fence.client(host, port);
  client.send(first.subarray(0, cut));
  if (cut > 0) await new Promise((resolve) => setImmediate(resolve));
  client.send(first.subarray(cut));
  await client.until((end) => end.ending !== null || end.text !== '');
  const events = fence.recorder.events.flatMap((event) => (event.kind === 'refusal' ? [event] : []));
  return {
    alert: client.text === ALERT,
    reset: client.ending === 'reset',
    passed: server.ends[0]?.text === latin1(first),
    reached: server.ends[0]?.text ?? '',
    reason: events[0]?.reason ?? null,
    detail: events[0]?.detail ?? null,
  };
}

describe('port 443', () => {
  test('a ClientHello with the name that was asked for passes as it came, cut anywhere', async () => {
    const good = bytes(record(hello('GOOD.test.').slice(0, 40)), record(hello('GOOD.test.').slice(40)));
    for (let cut = 0; cut < good.length; cut++)
      expect([cut, await outcome(good, cut)]).toMatchObject([cut, { passed: true, reason: null }]);
  });

  const hostile: Array<[string, Uint8Array, string, boolean]> = [
    ['another name', bytes(record(hello('evil.test'))), 'sni-mismatch', true],
    [
      'another name, in many records',
      bytes(record(hello('evil.test').slice(0, 9)), record(hello('evil.test').slice(9))),
      'sni-mismatch',
      true,
    ],
    ['no name', bytes(record(hello(null))), 'sni-missing', true],
    ['an address', bytes(record(hello('127.0.0.1'))), 'sni-mismatch', true],
    ['a name that is none', bytes(record(hello('good.test:443'))), 'sni-mismatch', true],
    ['an encrypted hello', bytes(record(hello('good.test', ECH))), 'ech', true],
    ['two names', bytes(record(hello('good.test', serverName('evil.test')))), 'tls-malformed', false],
    ['two hellos', bytes(record([...hello('good.test'), ...hello('evil.test')])), 'tls-malformed', false],
    ['an alert first', bytes(record([1, 0], 21), record(hello('good.test'))), 'not-tls', false],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: good.test\r\n\r\n'), 'not-tls', false],
    ['ssh', Buffer.from('SSH-2.0-x\r\n'), 'not-tls', false],
    ['SSLv2', bytes([0x80, 0x2e, 1, 3, 1]), 'not-tls', false],
  ];
  for (const [what, sent, reason, alert] of hostile)
    test(`${what}: nothing of it goes out`, async () => {
      expect(await outcome(sent)).toMatchObject({ reached: '', reason, alert, reset: !alert });
      for (let cut = 1; cut < sent.length; cut += 3)
        expect([cut, await outcome(sent, cut)]).toMatchObject([cut, { reached: '', reason }]);
    });

  test('the other name is for the record, and the client is not told more than no', async () => {
    expect((await outcome(bytes(record(hello('evil.test'))))).detail).toBe('evil.test');
  });

  test('what no rule allows gets an alert after its hello, so that it reads as refused', async () => {
    const { server, fence } = fenceFor(allow('good.test'));
    const client = await fence.client('evil.test', 443);
    client.send(bytes(record(hello('evil.test'))));
    await client.untilEnded();
    expect(client.text).toBe(ALERT);
    expect(server.ends).toEqual([]);
    expect(fence.recorder.lines).toEqual(['tcp evil.test:443 deny no-rule']);
  });

  test('a client that says nothing is given up', async () => {
    const server = origin();
    const fence = gateway({
      policy: allow('good.test'),
      originPort: server.port,
      options: { times: { firstBytes: 100 } },
    });
    const client = await fence.client('good.test', 443);
    await client.untilClosed();
    expect(fence.recorder.lines).toContain('refusal good.test:443 first-bytes-late');
    expect(server.ends[0]?.text ?? '').toBe('');
  });
});

describe('rules for TLS', () => {
  const rule = (tls: string) => `allow: [{ host: good.test, addresses: [127.0.0.0/8], tls: ${tls} }]\n`;
  const encrypted = bytes(record(hello('good.test', ECH)));
  const nameless = bytes(record(hello(null)));

  test('`tls: ech` lets an encrypted hello with the right outer name through, and no other', async () => {
    expect((await outcome(encrypted, 0, rule('ech'))).passed).toBe(true);
    expect((await outcome(bytes(record(hello('evil.test', ECH))), 0, rule('ech'))).reason).toBe(
      'sni-mismatch',
    );
    expect((await outcome(nameless, 0, rule('ech'))).reason).toBe('sni-missing');
  });

  test('`tls: any` lets a hello without a name through, but none with another name', async () => {
    expect((await outcome(nameless, 0, rule('any'))).passed).toBe(true);
    expect((await outcome(bytes(record(hello('evil.test'))), 0, rule('any'))).reason).toBe('sni-mismatch');
    expect((await outcome(encrypted, 0, rule('any'))).reason).toBe('ech');
  });

  test('two rules do not combine: one for the address and one for the hello admit nothing', async () => {
    const apart = `allow: [{ host: good.test, addresses: [127.0.0.0/8] }, { host: good.test, tls: any }]\n`;
    expect((await outcome(nameless, 0, apart)).reason).toBe('sni-missing');
  });

  test('an address that a rule names needs no name, and none but its own may be there', async () => {
    const literal = allow('127.0.0.1', '443');
    expect((await outcome(nameless, 0, literal, '127.0.0.1')).passed).toBe(true);
    expect((await outcome(bytes(record(hello('evil.test'))), 0, literal, '127.0.0.1')).reason).toBe(
      'sni-mismatch',
    );
  });

  test('observe mode lets through what a rule could allow, and no other name', async () => {
    const observe = 'mode: observe\n';
    const { fence } = fenceFor(observe);
    const client = await fence.client('good.test', 443);
    client.send(nameless);
    await client.untilEnded();
    // Its address is not public, and that holds in observe mode too.
    await fence.recorded('refusal good.test:443 address-refused');
    expect(fence.recorder.lines[0]).toBe('tcp good.test:443 allow observed');
  });

  test('a change of the rule judges the hello again', async () => {
    const { server, fence } = fenceFor(rule('any'));
    const client = await fence.client('good.test', 443);
    client.send(nameless);
    await (await server.nth(0)).until((end) => end.text.length === nameless.length);
    fence.state.policy = policyOf(rule('sni'));
    fence.gateway.rejudge();
    await client.untilClosed();
    await fence.recorded('close good.test:443 reset policy-changed');
  });
});

describe('after the first ClientHello', () => {
  const first = bytes(record(hello('good.test')));

  async function retried(second: Uint8Array, cut: number, port = 443) {
    const { server, fence } = fenceFor(allow('good.test', `${port}`), (end) => {
      void end
        .until(() => end.text.length >= first.length)
        .then(() => end.send(Uint8Array.from(serverHello(true))));
    });
    const client = await fence.client('good.test', port);
    client.send(first);
    await client.until((end) => end.text.length > 0);
    client.send(second.subarray(0, cut));
    if (cut > 0) await new Promise((resolve) => setImmediate(resolve));
    client.send(second.subarray(cut));
    const end = await server.nth(0);
    const all = first.length + second.length;
    await Promise.race([client.untilEnded(), end.until(() => end.text.length >= all)]);
    return { reached: end.text.slice(first.length), told: client.text.endsWith(ALERT), fence };
  }

  test('the one that answers a HelloRetryRequest is looked at too, cut anywhere, on any port', async () => {
    const good = bytes(CCS, record(hello('good.test')));
    const evil = bytes(CCS, record(hello('evil.test')));
    for (const port of [443, 8443])
      for (let cut = 0; cut < evil.length; cut += 7) {
        expect((await retried(good, cut, port)).reached).toBe(latin1(good));
        const { reached, told, fence } = await retried(evil, cut, port);
        expect([reached, told]).toEqual(['', true]);
        expect(fence.recorder.lines).toContain(`refusal good.test:${port} sni-mismatch`);
      }
  });

  test('nothing goes out before the origin has answered: early data waits, a second hello is judged', async () => {
    for (const [retry, cut] of [
      [false, 0],
      [false, first.length],
      [true, 0],
      [true, first.length],
    ] as const) {
      const { server, fence } = fenceFor(allow('good.test', '443'));
      const client = await fence.client('good.test', 443);
      const all = bytes([...first], CCS, early, record(hello('evil.test')));
      client.send(all.subarray(0, cut));
      const end = await server.nth(0);
      await end.until(() => end.text.length >= cut);
      client.send(all.subarray(cut));
      await end.until(() => end.text.length >= first.length);
      await Bun.sleep(20); // nothing to wait for: nothing may come
      expect(end.text).toBe(latin1(first));
      end.send(Uint8Array.from(serverHello(retry)));
      if (retry) {
        await client.untilEnded();
        expect(end.text).toBe(latin1(first));
        expect(client.text.endsWith(ALERT)).toBe(true);
      } else await end.until(() => end.text.length > first.length + early.length);
    }
  });

  test('after an ordinary ServerHello everything passes', async () => {
    const { server, fence } = fenceFor(allow('good.test', '443'), (end) => {
      void end
        .until(() => end.text.length >= first.length)
        .then(() => end.send(Uint8Array.from(serverHello(false))));
    });
    const client = await fence.client('good.test', 443);
    client.send(first);
    await client.until((end) => end.text.length > 0);
    client.send(Uint8Array.from(early));
    await (await server.nth(0)).until((end) => end.text.length === first.length + early.length);
  });

  test('an origin that answers with something else hears nothing more', async () => {
    const { server, fence } = fenceFor(allow('good.test', '443'), (end) => {
      void end
        .until(() => end.text.length >= first.length)
        .then(() => end.send('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    const client = await fence.client('good.test', 443);
    client.send(first);
    await client.untilText('HTTP/1.1 400');
    client.send('GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n');
    await client.untilEnded();
    expect((await server.nth(0)).text).toBe(latin1(first));
  });
});
