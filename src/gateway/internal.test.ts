import { describe, expect, test } from 'bun:test';
import { address, allow, gateway, get } from './gateway.fixture.ts';
import { Session } from './session.ts';

const NAME = 'clawctl.internal';

async function ask(fence: ReturnType<typeof gateway>, request: string): Promise<string> {
  const client = await fence.client(NAME, 80);
  client.send(request);
  await client.untilEnded();
  client.socket.end();
  await client.untilClosed();
  return client.text;
}

describe('clawctl.internal', () => {
  test('tells a session what was refused to it, in text or JSON, and what could be typed', async () => {
    const fence = gateway({ policy: allow('good.test') });
    expect(await ask(fence, get(NAME))).toContain('refused nothing');
    for (let i = 0; i < 2; i++) await (await fence.client('evil.test', 22)).untilClosed();
    fence.gateway.refusePacket('s1', {
      agent: 'bot',
      protocol: 'udp',
      destination: address('203.0.113.7'),
      port: 53,
    });
    const text = await ask(fence, get(NAME));
    expect(text).toStartWith('HTTP/1.1 200 OK\r\n');
    expect(text).toContain('evil.test:22 refused (no-rule)');
    expect(text).toContain('clawctl egress add evil.test --port 22 (2 times)');
    const json = await ask(fence, get(NAME, '/', 'Accept: application/json\r\n'));
    const { schema, items } = JSON.parse(json.split('\r\n\r\n')[1]!);
    expect(schema).toBe('clawctl.egress.session-refusals/v1');
    expect(
      items.map((item: { host: string; reason: string; count: number }) => [
        item.host,
        item.reason,
        item.count,
      ]),
    ).toEqual([
      ['203.0.113.7', 'protocol', 1],
      ['evil.test', 'no-rule', 2],
    ]);
    expect(json).not.toContain('good.test');
    expect(fence.recorder.lines).toContain('udp 203.0.113.7:53 deny protocol');
    while (fence.gateway.openConnections() > 0) await Bun.sleep(1);
    expect(fence.retained).toEqual([]);
  });

  test('keeps a bounded list, the latest first', async () => {
    const fence = gateway({ policy: 'mode: enforce\n' });
    for (let port = 1_000; port < 1_300; port++)
      fence.gateway.refusePacket('s1', {
        agent: 'bot',
        protocol: 'udp',
        destination: address('203.0.113.7'),
        port,
      });
    const { items } = JSON.parse(
      (await ask(fence, get(NAME, '/', 'Accept: application/json\r\n'))).split('\r\n\r\n')[1]!,
    );
    expect(items.length).toBe(100);
    expect(items[0].port).toBe(1_299);
  });

  test('has what other processes refused where it belongs in time', () => {
    const session = new Session('bot', 's1');
    const refusal = { agent: 'bot', reason: 'no-rule', detail: null, suggestion: '' } as const;
    for (const [host, time] of [
      ['second.test', 2_000],
      ['third.test', 3_000],
      ['first.test', 1_000],
    ] as const)
      session.remember({ ...refusal, host, port: 443, time });
    const { items } = JSON.parse(session.refusalsJson()) as { items: { host: string }[] };
    expect(items.map(({ host }) => host)).toEqual(['third.test', 'second.test', 'first.test']);
  });

  test('is as strict as anything else', async () => {
    const fence = gateway({ policy: 'mode: enforce\n' });
    expect(await ask(fence, get('evil.test'))).toStartWith('HTTP/1.1 421 ');
    expect(await ask(fence, get(NAME, '/', 'Host: evil.test\r\n'))).toStartWith('HTTP/1.1 400 ');
    expect(await ask(fence, get(NAME).replace('GET', 'POST'))).toStartWith('HTTP/1.1 405 ');
    expect(await ask(fence, get(NAME, '/other'))).toStartWith('HTTP/1.1 404 ');
    expect(await ask(fence, 'nonsense\r\n\r\n')).toStartWith('HTTP/1.1 400 ');
    expect((await ask(fence, get(NAME).replace('GET', 'HEAD'))).split('\r\n\r\n')[1]).toBe('');
  });

  test('is nothing special on other ports', async () => {
    const fence = gateway({ policy: allow('good.test') });
    await (await fence.client(NAME, 22)).untilClosed();
    expect(fence.recorder.lines[0]).toStartWith(`tcp ${NAME}:22 deny`);
  });
});
