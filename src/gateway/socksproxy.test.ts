import { describe, expect, test } from 'bun:test';
import { allow, get, origin } from './gateway.fixture.ts';
import { proxied, socks, TOKEN } from './proxy.fixture.ts';

const policy = allow('good.test', '22, 80, 443');
const OK = socks.chosen + socks.reply(0);
const LONGEST = 'a'.repeat(255);

describe('SOCKS5', () => {
  test('opens a tunnel when the origin is there; what came early belongs to it, cut anywhere', async () => {
    const server = origin((end) => end.send('server'));
    const proxy = proxied({ policy, originPort: server.port });
    const sent = `${socks.greeting + socks.request('good.test', 22)}client`;
    for (let cut = 0; cut < sent.length; cut++) {
      const client = await proxy.say(sent, cut);
      await client.untilText(`${OK}server`);
      const end = await (await server.nth(cut)).untilText('client');
      expect([cut, end.text, client.text]).toEqual([cut, 'client', `${OK}server`]);
      client.socket.reset();
    }
  });

  test('takes a user and a password, and asks for them whoever may have them', async () => {
    const server = origin((end) => end.send('server'));
    const proxy = proxied({ policy, originPort: server.port, proxy: { agent: null } });
    const sent =
      socks.greetingWithPassword + socks.credentials('bot', TOKEN) + socks.request('good.test', 22);
    const answer = `${socks.chosenPassword + socks.known + socks.reply(0)}server`;
    for (let cut = 0; cut < sent.length; cut += 3)
      expect((await (await proxy.say(sent, cut)).untilText('server')).text).toBe(answer);
  });

  test('takes an empty password for none where no credentials would do, as every JVM sends it', async () => {
    const server = origin((end) => end.send('server'));
    const shared = `agents: { bot: { from: [127.0.0.1] } }\n${policy}`;
    for (const proxy of [
      proxied({ policy, originPort: server.port }),
      proxied({ policy: shared, originPort: server.port, proxy: { agent: null } }),
    ]) {
      const sent =
        socks.greetingWithPassword + socks.credentials('root', '') + socks.request('good.test', 22);
      const answer = `${socks.chosenPassword + socks.known + socks.reply(0)}server`;
      for (let cut = 0; cut < sent.length; cut += 3)
        expect((await (await proxy.say(sent, cut)).untilText('server')).text).toBe(answer);
      expect(proxy.recorder.events[0]).toMatchObject({ agent: 'bot', verdict: 'allow' });
      // Who offers nothing but credentials has said that it has some.
      const insisting = `\x05\x01\x02${socks.credentials('root', '')}`;
      const refused = await (await proxy.say(insisting)).untilEnded();
      expect(refused.text).toBe(socks.chosenPassword + socks.unknown);
      expect(proxy.recorder.events.at(-1)).toMatchObject({ agent: '-', reason: 'credentials-missing' });
    }
  });

  test('is judged inside the tunnel like any other', async () => {
    const server = origin((end) => void end.untilText('\r\n\r\n').then(() => end.send('answer')));
    const proxy = proxied({ policy, originPort: server.port });
    const good = await proxy.say(socks.greeting + socks.request('good.test', 80) + get('good.test'));
    await good.untilText('answer');
    const evil = await proxy.say(socks.greeting + socks.request('good.test', 80));
    await evil.untilText(OK);
    evil.send(get('evil.test'));
    await evil.untilText('X-Clawctl-Reason: host-mismatch');
    const other = await proxy.say(`${socks.greeting + socks.request('good.test', 443)}SSH-2.0-x\r\n`);
    await other.untilEnded();
    expect(other.text).toBe(socks.chosen + socks.reply(2));
    expect(server.ends.map((end) => end.text).join('')).toBe(get('good.test'));
  });
});

describe('a refused SOCKS5 request', () => {
  const to = (...parts: string[]) => socks.greeting + parts.join('');
  const refusals: Array<[string, string, string, string]> = [
    ['to a host that no rule allows', to(socks.request('evil.test', 443)), socks.reply(2), 'no-rule'],
    ['to a port that no rule allows', to(socks.request('good.test', 25)), socks.reply(2), 'port'],
    ['to an IPv4 address', to(socks.requestOf([127, 0, 0, 1], 443)), socks.reply(2), 'no-rule'],
    ['to an IPv6 address', to(socks.requestOf([...Array(15).fill(0), 1], 443)), socks.reply(2), 'no-rule'],
    ['to an address as a name', to(socks.request('127.0.0.1', 443)), socks.reply(2), 'no-rule'],
    [
      'to an address spelled another way',
      to(socks.request('0x7f.1', 443)),
      socks.reply(2),
      'address-spelling',
    ],
    ['to a name with NUL', to(socks.request('evil.test\0.good.test', 443)), socks.reply(1), 'malformed-host'],
    ['to a name with a port', to(socks.request('good.test:443', 443)), socks.reply(1), 'malformed-host'],
    [
      'to a name with CR LF',
      to(socks.request('x\r\nA: b\r\n.good.test', 443)),
      socks.reply(1),
      'malformed-host',
    ],
    ['to a name in UTF-8', to(socks.request('\xe2\x84\xaa.test', 443)), socks.reply(1), 'malformed-host'],
    ['to the longest name', to(socks.request(LONGEST, 443)), socks.reply(1), 'malformed-host'],
    ['to port 0', to(socks.request('good.test', 0)), socks.reply(1), 'malformed-port'],
    ['to bind', to(socks.request('good.test', 443, 2)), socks.reply(7), 'socks-command'],
    ['for datagrams', to(socks.request('good.test', 443, 3)), socks.reply(7), 'socks-command'],
    ['for an unknown command', to(socks.request('good.test', 443, 0)), socks.reply(7), 'socks-command'],
    ['to an unknown kind of address', to('\x05\x01\x00\x02good'), socks.reply(8), 'socks-malformed'],
    ['of another version', to('\x04\x01\x00\x01\x7f\0\0\x01\x01\xbb'), socks.reply(1), 'socks-malformed'],
    [
      'with something reserved',
      to('\x05\x01\x01\x01\x7f\0\0\x01\x01\xbb'),
      socks.reply(1),
      'socks-malformed',
    ],
    ['to an empty name', to(socks.request('', 443)), socks.reply(1), 'socks-malformed'],
  ];
  for (const [what, sent, answer, reason] of refusals)
    test(`${what} has a reply of its own, is recorded, and reaches nobody`, async () => {
      const server = origin();
      const proxy = proxied({ policy, originPort: server.port });
      for (let cut = 0; cut < sent.length; cut += 1 + Math.floor(sent.length / 9)) {
        const client = await (await proxy.say(sent, cut)).untilEnded();
        expect([cut, client.text]).toEqual([cut, socks.chosen + answer]);
      }
      for (const event of proxy.recorder.events) expect(event).toMatchObject({ verdict: 'deny', reason });
      expect(proxy.recorder.events.length).toBeGreaterThan(0);
      expect([server.ends.length, proxy.asked]).toEqual([0, []]);
    });

  test('to what cannot be reached or resolved says so', async () => {
    const proxy = proxied({ policy: allow('good.test', '22'), originPort: 1 });
    const refused = await (await proxy.say(to(socks.request('good.test', 22)))).untilEnded();
    expect(refused.text).toBe(socks.chosen + socks.reply(5));
    const unknown = proxied({ policy: allow('good.example', '22') });
    const client = await (await unknown.say(to(socks.request('good.example', 22)))).untilEnded();
    expect(client.text).toBe(socks.chosen + socks.reply(4));
  });

  test('of a client that nobody knows ends before it is read', async () => {
    const server = origin();
    const proxy = proxied({ policy, originPort: server.port, proxy: { agent: null } });
    const request = socks.request('good.test', 22);
    const { greeting, greetingWithPassword: asked, credentials } = socks;
    const long = 'A'.repeat(255);
    for (const [sent, answer, reason] of [
      [greeting + request, socks.noMethod, 'credentials-missing'],
      ['\x05\x02\x01\x03', socks.noMethod, 'credentials-missing'],
      [
        asked + credentials('bot', 'wrong') + request,
        socks.chosenPassword + socks.unknown,
        'credentials-wrong',
      ],
      [
        asked + credentials('eve', TOKEN) + request,
        socks.chosenPassword + socks.unknown,
        'credentials-wrong',
      ],
      [asked + credentials(long, long) + request, socks.chosenPassword + socks.unknown, 'credentials-wrong'],
      [asked + credentials('bot', '') + request, socks.chosenPassword + socks.unknown, 'credentials-missing'],
      [`${asked}\x05\x03bot`, socks.chosenPassword + socks.unknown, 'socks-malformed'],
      ['\x05\x00', socks.noMethod, 'socks-malformed'],
    ] as const) {
      for (let cut = 0; cut < sent.length; cut += 5) {
        const client = await (await proxy.say(sent, cut)).untilEnded();
        expect([cut, client.text, proxy.recorder.lines.at(-1)]).toEqual([
          cut,
          answer,
          `tcp (unread):0 deny ${reason}`,
        ]);
      }
    }
    expect(server.ends.length).toBe(0);
    expect(JSON.stringify(proxy.recorder.events)).not.toContain(TOKEN);
  });

  test('is recorded with its agent and its target, as far as both are known', async () => {
    const proxy = proxied({ policy });
    for (const [sent, answer, host, port, reason] of [
      [
        to(socks.request('good.test', 22, 2)),
        socks.chosen + socks.reply(7),
        'good.test',
        22,
        'socks-command',
      ],
      [
        to(socks.request('good.test', 53, 3)),
        socks.chosen + socks.reply(7),
        'good.test',
        53,
        'socks-command',
      ],
      ['\x05\x01\x01', socks.noMethod, '(unread)', 0, 'socks-malformed'],
      ['\x05\x00', socks.noMethod, '(unread)', 0, 'socks-malformed'],
    ] as const) {
      expect((await (await proxy.say(sent)).untilEnded()).text).toBe(answer);
      expect(proxy.recorder.events.at(-1)).toMatchObject({ agent: 'bot', host, port, reason });
    }
  });

  test('with wrong credentials is refused even where the listener itself would do', async () => {
    const proxy = proxied({ policy });
    const sent = socks.greetingWithPassword + socks.credentials('bot', 'wrong');
    expect((await (await proxy.say(sent)).untilEnded()).text).toBe(socks.chosenPassword + socks.unknown);
  });

  test('that is never finished ends with a reply, and so does one that the client cuts off', async () => {
    const proxy = proxied({ policy, options: { times: { head: 100 } } });
    const slow = await (await proxy.say(`${socks.greeting}\x05\x01\0\x03\xffaa`)).untilEnded();
    expect(slow.text).toBe(socks.chosen + socks.reply(1));
    await proxy.recorded('tcp (unread):0 deny head-late');
    const cut = await proxy.say(`${socks.greeting}\x05\x01\0`);
    cut.socket.end();
    expect((await cut.untilEnded()).text).toBe(socks.chosen + socks.reply(1));
  });
});
