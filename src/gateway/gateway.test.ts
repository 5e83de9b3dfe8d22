import { describe, expect, test } from 'bun:test';
import { address, allow, gateway, get, origin, policyOf } from './gateway.fixture.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('what no rule allows', () => {
  test('is refused on port 80 with the reason and the command, and nothing leaves', async () => {
    const server = origin();
    const fence = gateway({ policy: allow('good.test'), originPort: server.port });
    const client = await fence.client('evil.test', 80);
    client.send(get('evil.test', '/', 'Accept: application/json\r\n'));
    await client.untilEnded();
    expect(client.text).toStartWith(
      'HTTP/1.1 403 Forbidden (Clawctl Egress, no-rule: no rule allows this host)\r\n',
    );
    expect(client.text).toContain('X-Clawctl-Reason: no-rule\r\n');
    expect(JSON.parse(client.text.split('\r\n\r\n')[1]!)).toEqual({
      schema: 'clawctl.egress.refusal/v1',
      host: 'evil.test',
      port: 80,
      reason: 'no-rule',
      message: 'no rule allows this host',
      suggestion: 'clawctl egress add evil.test',
    });
    expect(fence.recorder.lines).toEqual(['http evil.test:80 deny no-rule']);
    expect(fence.refusals.map(({ host, suggestion }) => [host, suggestion])).toEqual([
      ['evil.test', 'clawctl egress add evil.test'],
    ]);
    expect(fence.asked).toEqual([]);
    expect(server.ends).toEqual([]);
  });

  test('is refused in words where the client does not ask for JSON', async () => {
    const fence = gateway({ policy: allow('good.test') });
    const client = await fence.client('evil.test', 80);
    client.send(get('evil.test'));
    await client.untilEnded();
    expect(client.text).toContain('Content-Type: text/plain');
    expect(client.text).toContain('evil.test:80 refused (no-rule)');
    expect(client.text).not.toContain('good.test');
  });

  test('is reset on other ports', async () => {
    const fence = gateway({ policy: allow('good.test') });
    const client = await fence.client('good.test', 5432);
    await client.untilClosed();
    expect(client.ending).toBe('reset');
    expect(fence.recorder.lines).toEqual(['tcp good.test:5432 deny port']);
    expect(fence.refusals[0]!.suggestion).toBe('clawctl egress add good.test --port 5432');
  });

  test('is reset where the destination is unknown, and where the agent has too many connections', async () => {
    const unknown = gateway({ policy: allow('good.test'), options: { destinationOf: () => null } });
    const lost = await unknown.client('good.test', 80);
    await lost.untilClosed();
    expect(unknown.recorder.lines).toEqual(['tcp (unread):0 deny unknown-target']);

    const server = origin();
    const fence = gateway({
      policy: `${allow('good.test', '5432')}limits: { connections_per_agent: 2 }\n`,
      originPort: server.port,
    });
    await fence.client('good.test', 5432);
    await fence.client('good.test', 5432);
    const third = await fence.client('good.test', 5432);
    await third.untilClosed();
    expect(third.ending).toBe('reset');
    expect(fence.recorder.lines).toContain('tcp good.test:5432 deny limit-connections');
    expect(fence.gateway.openConnections()).toBe(2);
  });
});

describe('refused clients', () => {
  test('are told why only as long as the agent has few connections open', async () => {
    const fence = gateway({ policy: 'limits: { connections_per_agent: 2 }\n' });
    for (let i = 0; i < 2; i++) await fence.client('evil.test', 443);
    for (const host of ['evil.test', 'clawctl.internal']) {
      const third = await fence.client(host, host === 'evil.test' ? 443 : 80);
      await third.untilClosed();
      expect(third.ending).toBe('reset');
    }
    expect(fence.gateway.openConnections()).toBe(2);
  });
});

describe('what a rule allows', () => {
  test('is relayed, recorded before anything leaves, and closed with its bytes', async () => {
    const server = origin((end) => void end.untilText('\r\n\r\n').then(() => end.send(ANSWER)));
    const fence = gateway({ policy: allow('good.test'), originPort: server.port });
    const committed = Promise.withResolvers<void>();
    fence.recorder.hold = committed.promise;
    const client = await fence.client('good.test', 80);
    client.send(get('good.test'));
    while (fence.gateway.openConnections() === 0) await Bun.sleep(1);
    await Bun.sleep(30); // nothing to wait for: nothing may happen
    expect(fence.asked).toEqual([]);
    expect(server.ends).toEqual([]);
    committed.resolve();
    await client.untilText('ok');
    expect(client.text).toBe(ANSWER);
    expect((await server.nth(0)).text).toBe(get('good.test'));
    client.socket.end();
    server.ends[0]!.socket.end();
    await client.untilClosed();
    await fence.recorded('close good.test:80 done null');
    expect(fence.recorder.lines).toEqual(['http good.test:80 allow rule', 'close good.test:80 done null']);
    const close = fence.recorder.events[1]!;
    expect(close.kind === 'close' && [close.bytesUp, close.bytesDown]).toEqual([
      get('good.test').length,
      ANSWER.length,
    ]);
    expect(fence.gateway.openConnections()).toBe(0);
    expect(fence.retained).toEqual([]);
  });

  test('is refused while it cannot be recorded', async () => {
    const server = origin();
    const fence = gateway({ policy: allow('good.test'), originPort: server.port });
    fence.recorder.writable = false;
    const client = await fence.client('good.test', 80);
    client.send(get('good.test'));
    await client.untilEnded();
    expect(client.text).toContain('X-Clawctl-Reason: audit-unavailable');
    // The recorder has counted it as refused; a refusal more would count it twice.
    expect(fence.recorder.lines.filter((line) => line.startsWith('refusal'))).toEqual([]);
    expect(fence.asked).toEqual([]);
    expect(server.ends).toEqual([]);
  });

  test('lets a server speak first on an explicit port, to a client that says nothing', async () => {
    const server = origin((end) => end.send('SSH-2.0-x\r\n'));
    const fence = gateway({ policy: allow('good.test', '22'), originPort: server.port });
    const client = await fence.client('good.test', 22);
    await client.untilText('SSH-2.0-x\r\n');
    client.send('SSH-2.0-y\r\n');
    await (await server.nth(0)).untilText('SSH-2.0-y\r\n');
  });

  test('by its literal address needs a rule that names the address', async () => {
    const server = origin((end) => end.send('hello'));
    const fence = gateway({ policy: allow('127.0.0.1', '22'), originPort: server.port });
    await (await fence.client('127.0.0.1', 22)).untilText('hello');
    await (await fence.client('127.0.0.2', 22)).untilClosed();
    expect(fence.recorder.lines).toContain('tcp 127.0.0.2:22 deny no-rule');
  });

  test('passes half-close on in both directions', async () => {
    const server = origin();
    const fence = gateway({ policy: allow('good.test', '7'), originPort: server.port });
    const client = await fence.client('good.test', 7);
    client.send('0123456789');
    client.socket.end();
    const far = await (await server.nth(0)).untilEnded();
    expect(far.text).toBe('0123456789');
    far.send('later');
    far.socket.end();
    await client.untilClosed();
    expect([client.text, client.ending]).toEqual(['later', 'closed']);
  });
});

describe('an allowed name', () => {
  const refusedWith = async (answer: string[], policy: string, options = {}) => {
    const server = origin();
    const fence = gateway({ policy, names: { 'good.test': answer }, originPort: server.port, options });
    const client = await fence.client('good.test', 80);
    client.send(get('good.test'));
    await client.untilEnded();
    expect(server.ends).toEqual([]);
    const reason = /X-Clawctl-Reason: (.*)\r/.exec(client.text)?.[1];
    // Where it leads is nobody's business inside.
    for (const text of answer) expect(client.text).not.toContain(text);
    expect(fence.recorder.lines.slice(0, 2)).toEqual([
      'http good.test:80 allow rule',
      `refusal good.test:80 ${reason}`,
    ]);
    return reason;
  };
  const plain = 'allow: [good.test]\n';

  test('that leads to an address of a refused class is not dialled', async () => {
    for (const text of [
      '127.0.0.1',
      '10.0.0.1',
      '169.254.169.254',
      '100.64.0.1',
      '0.0.0.0',
      '198.18.0.9',
      '::1',
      '::ffff:127.0.0.1',
      '64:ff9b::7f00:1',
      'fd00:ec2::254',
      'fe80::1',
    ])
      expect([text, await refusedWith([text], plain)]).toEqual([text, 'address-refused']);
  });

  test('that leads to public and private addresses at once is not dialled, whatever the rule admits', async () => {
    expect(await refusedWith(['203.0.113.7', '127.0.0.1'], plain)).toBe('addresses-mixed');
    expect(await refusedWith(['203.0.113.7', '127.0.0.1'], allow('good.test'))).toBe('addresses-mixed');
  });

  test('is not dialled unless one rule admits every address', async () => {
    const apart = `allow:
  - { host: good.test, addresses: [127.0.0.0/8] }
  - { host: good.test, addresses: [10.0.0.0/8] }\n`;
    expect(await refusedWith(['127.0.0.1', '10.0.0.1'], apart)).toBe('address-refused');
  });

  test('that leads to a denied range or to the gateway itself is not dialled', async () => {
    expect(await refusedWith(['203.0.113.7'], `${plain}deny: [203.0.113.0/24]\n`)).toBe('address-denied');
    expect(await refusedWith(['203.0.113.7'], plain, { selfAddresses: [address('203.0.113.7')] })).toBe(
      'address-refused',
    );
  });

  test('that does not resolve, or where nobody answers, failed rather than was refused', async () => {
    const fence = gateway({
      policy: `allow: [nowhere.example, { host: good.test, addresses: [127.0.0.0/8] }]\n`,
      originPort: 1,
    });
    for (const [host, reason] of [
      ['nowhere.example', 'name-not-resolved'],
      ['good.test', 'connect-failed'],
    ] as const) {
      const client = await fence.client(host, 80);
      client.send(get(host));
      await client.untilEnded();
      expect(client.text).toStartWith('HTTP/1.1 502 ');
      expect(client.text).toContain(`X-Clawctl-Reason: ${reason}`);
      expect(client.text).toContain(`${host}:80 not reached (${reason})`);
      client.socket.end();
      await client.untilClosed();
      await fence.recorded(`close ${host}:80 failed ${reason}`);
      expect(fence.refusals.at(-1)).toMatchObject({ host, reason });
    }
  });
});

describe('when the policy changes', () => {
  test('connections that it forbids are reset on both sides, others stay', async () => {
    const server = origin((end) => end.send('hello'));
    const fence = gateway({
      policy: `allow:
  - { host: a.test, ports: [22], addresses: [127.0.0.0/8] }
  - { host: b.test, ports: [22], addresses: [127.0.0.0/8] }\n`,
      originPort: server.port,
    });
    const a = await (await fence.client('a.test', 22)).untilText('hello');
    const b = await (await fence.client('b.test', 22)).untilText('hello');
    fence.state.policy = policyOf(allow('b.test', '22'));
    fence.gateway.rejudge();
    await a.untilClosed();
    await server.ends[0]!.untilClosed();
    expect([a.ending, server.ends[0]!.ending]).toEqual(['reset', 'reset']);
    await fence.recorded('close a.test:22 reset policy-changed');
    b.send('still here\n');
    await server.ends[1]!.untilText('still here');
    // The same name may no longer lead where it leads.
    fence.state.policy = policyOf('allow: [{ host: b.test, ports: [22] }]\n');
    fence.gateway.rejudge();
    await b.untilClosed();
    expect(fence.gateway.openConnections()).toBe(0);
  });

  test('connections on their way are refused too, and nothing leaves after it', async () => {
    const server = origin();
    const fence = gateway({ policy: allow('good.test', '22'), originPort: server.port });
    const committed = Promise.withResolvers<void>();
    fence.recorder.hold = committed.promise;
    const client = await fence.client('good.test', 22);
    while (fence.gateway.openConnections() === 0) await Bun.sleep(1);
    fence.state.policy = policyOf('allow: []\n');
    fence.gateway.rejudge();
    await client.untilClosed();
    committed.resolve();
    await Bun.sleep(20); // nothing to wait for: nothing may happen
    expect(fence.asked).toEqual([]);
    expect(server.ends).toEqual([]);
    expect(fence.recorder.lines).toContain('refusal good.test:22 policy-changed');
  });

  test('the kill switch resets everything, and a rule that ends resets what it carried', async () => {
    const server = origin((end) => end.send('hello'));
    const until = new Date(Date.now() + 1_200).toISOString();
    const fence = gateway({
      policy: allow('good.test', '22', `, until: ${until}`),
      originPort: server.port,
    });
    const first = await (await fence.client('good.test', 22)).untilText('hello');
    fence.state.killed = true;
    fence.gateway.rejudge();
    await first.untilClosed();
    await fence.recorded('close good.test:22 reset killed');
    fence.state.killed = false;
    const second = await (await fence.client('good.test', 22)).untilText('hello');
    await second.untilClosed();
    await fence.recorded('close good.test:22 reset policy-changed');
  });
});

describe('a bug', () => {
  test('costs its own connection, by a reset', async () => {
    const server = origin((end) => end.send('hello'));
    let broken = true;
    const fence = gateway({
      policy: allow('good.test', '22'),
      originPort: server.port,
      options: {
        killed: () => {
          if (broken) throw new Error('a bug');
          return false;
        },
      },
    });
    const first = await fence.client('good.test', 22);
    await first.untilClosed();
    expect(first.ending).toBe('reset');
    expect(fence.bugs.length).toBe(1);
    broken = false;
    await (await fence.client('good.test', 22)).untilText('hello');
    broken = true;
    fence.gateway.rejudge();
    expect(fence.gateway.openConnections()).toBe(0);
  });
});
