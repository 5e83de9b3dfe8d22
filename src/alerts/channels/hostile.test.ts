/** Whatever an agent chose, it is text to every channel: no link, no mention, no markup, no header, no option. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { EmailChannel } from '../../policy/alerts/channel.ts';
import { desktopCommand } from './desktop.ts';
import { safeJson } from './document.ts';
import { notificationOf } from './incident.fixture.ts';
import { type Message, messageOf } from './message.ts';
import { htmlOf, subjectOf, textOf } from './page.ts';
import { pagerDutyBody } from './pagerduty.ts';
import { openMailServer } from './receiver.fixture.ts';
import { send } from './send.ts';
import { slackBody } from './slack.ts';

const ATTEMPTS = [
  '<a href="https://evil.test/">click</a>',
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<!channel>',
  '<!here|here>',
  '<@U012AB3CD>',
  '<https://evil.test|your bank>',
  '[click](https://evil.test)',
  'https://evil.test/path',
  'HTTPS://EVIL.TEST',
  'www.evil.test',
  'evil.test',
  'mailto:ceo@company.com',
  'tel:+123456',
  'javascript:alert(1)',
  '@channel',
  '@everyone',
  'ceo@company.com',
  '*bold* _it_ ~s~ `code` ```block```',
  ':rotating_light:',
  '&lt;b&gt;',
  "'; rm -rf ~ #",
  '$(reboot)',
  'a\r\nBcc: victim@company.com\r\n\r\n',
  'a\u2028b\u202eevil\u0000',
  '=?utf-8?B?CkJjYzogdmljdGltQGNvbXBhbnkuY29t?=',
  '\r\n.\r\nMAIL FROM:<x@company.com>',
  '--help',
  '-u critical',
  'xn--pple-43d.test',
  'evil。test',
  'evil．test＠x：y',
  '1.2.3.4',
  '2001:db8::1',
  '</pre></body><body>',
  '%s%n{{constructor}}',
];
const piece = fc.oneof(fc.constantFrom(...ATTEMPTS), fc.string({ unit: 'binary', maxLength: 60 }));
const hostile = fc.array(piece, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(''));
const notifications = fc
  .record({ host: hostile, agent: hostile, finding: hostile, group: hostile, who: hostile })
  .map(({ host, agent, finding, group, who }) =>
    notificationOf({
      hosts: [{ host, count: 3, reason: 'no-rule' }],
      agents: [agent],
      group: { host: group, agent },
      finding,
      acknowledged: { time: 0, by: who },
    }),
  );

/** What mail and chat programs make links of: a scheme, www, a name with a dot, an address with an at sign, a number. */
const LINK = /[a-z][a-z0-9+-]*[:：]\S|www[.。．｡]|[^\s.[\]][.。．｡][a-z0-9]|\w[@＠]\w|^@|\s@\w/iu;

/** What was said by somebody else, out of all that a channel shows. */
const foreignTexts = ({ subject, summary, facts, hosts }: Message): string[] => [
  ...[...subject, ...summary, ...facts.flatMap(({ value }) => value)].flatMap((each) =>
    'foreign' in each ? [each.foreign] : [],
  ),
  ...hosts.map(({ host }) => host),
];

const check = (holds: (notification: ReturnType<typeof notificationOf>, message: Message) => void) =>
  fc.assert(
    fc.property(notifications, (notification) => holds(notification, messageOf(notification))),
    { numRuns: 300 },
  );

describe('what an agent chose', () => {
  test('is never anything that a program would make a link or a mention of', () => {
    check((_, message) => {
      for (const text of foreignTexts(message)) expect(text).not.toMatch(LINK);
      for (const { line } of message.commands) expect(line).not.toMatch(LINK);
    });
  });

  test('stays within one line, of a mail header too', () => {
    check((_, message) => {
      expect(subjectOf(message)).not.toMatch(/[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
      for (const text of foreignTexts(message)) expect(text).not.toMatch(/[\x00-\x1f\x7f\u2028\u202e]/);
    });
  });

  test('is text in HTML', () => {
    const skeleton = (html: string) => html.replace(/>[^<]*</g, '><').match(/<[^>]*>/g);
    const harmless = skeleton(
      htmlOf(messageOf(notificationOf({ finding: 'x', acknowledged: { time: 0, by: 'x' } }))),
    );
    check((_, message) => {
      const tags = skeleton(htmlOf(message))!;
      for (const tag of tags) expect(harmless).toContain(tag);
      expect(tags.join('')).not.toMatch(/href|src|img|script|style/i);
    });
  });

  test('is text in every element that Slack shows, and not in what Slack parses', () => {
    check((notification, message) => {
      const body = slackBody(notification, message) as { text: string; blocks: object[] };
      expect(body.text).toBe('firing: blocked_request_spike (high)');
      const types = new Set<string>();
      JSON.stringify(body.blocks, (key, value) => {
        if (key === 'type') types.add(value);
        expect(['url', 'user_id', 'range', 'fields', 'accessory', 'verbatim']).not.toContain(key);
        return value;
      });
      for (const type of types)
        expect(['header', 'plain_text', 'rich_text', 'rich_text_section', 'text']).toContain(type);
    });
  });

  test('is text to a pager, which links what it can', () => {
    check((notification, message) => {
      const body = pagerDutyBody(notification, message, 'k', 'here') as { payload: Record<string, unknown> };
      expect(Object.keys(body)).not.toContain('links');
      expect(Object.keys(body)).not.toContain('images');
      expect(String(body.payload.summary)).not.toMatch(LINK);
    });
  });

  test('is no markup and no option of a desktop notification', () => {
    check((_, message) => {
      const words = desktopCommand(message, 'high');
      expect(words.indexOf('--')).toBe(words.length - 3);
      expect(words.at(-1)!).not.toMatch(/[<>]/);
    });
  });

  test('is no markup in JSON, and no line of its own', () => {
    check((notification) => expect(safeJson(notification)).toMatch(/^[ -;=?-~]*$/));
  });

  test('is quoted in every command that is suggested', () => {
    check((_, message) => {
      for (const { line } of message.commands)
        expect(line).toMatch(
          /^clawctl egress [a-z ]+(?:'[a-z0-9[\].:_-]+'|[A-Za-z0-9._+-]+|--[a-z]+ [A-Za-z0-9._+-]+| )*$/,
        );
    });
  });
});

/** A name, an address or a URL, whatever stands before and behind it. */
const JOINED = /:\/\/|www\.|[a-z0-9-]\.[a-z]{2,}|[\w\]]@|@\w|\bmailto:|\btel:\S/iu;

test('what an agent chose becomes no link where words of ours stand beside it, in any channel', () => {
  check((notification, message) => {
    const strings: string[] = [];
    const collect = (key: string, value: unknown) => {
      if (typeof value === 'string' && key !== 'timestamp') strings.push(value);
      return value;
    };
    JSON.stringify(pagerDutyBody(notification, message, 'k', 'here'), collect);
    const sections = slackBody(notification, message) as { blocks: [object, { elements: object[] }] };
    for (const { elements } of sections.blocks[1].elements as { elements: { text: string }[] }[])
      strings.push(elements.map(({ text }) => text).join(''));
    const html = htmlOf(message).replace(/<[^>]*>/g, '');
    for (const text of [
      ...strings,
      textOf(message),
      subjectOf(message),
      html,
      desktopCommand(message, 'low')[5]!,
    ])
      expect(text).not.toMatch(JOINED);
  });
});

test('what an agent chose adds no header, no recipient and no command to a mail', async () => {
  const server = await openMailServer();
  try {
    const channel: EmailChannel = {
      name: 'mail',
      type: 'email',
      host: '127.0.0.1',
      port: server.port,
      security: 'none',
      username: null,
      password: null,
      ca: null,
      from: 'a@company.test',
      to: [],
    };
    for (const text of ATTEMPTS) {
      const notification = notificationOf({
        hosts: [{ host: text, count: 1, reason: text }],
        ...{ agents: [text], group: { agent: text, host: text }, finding: text, decidingRule: text },
      });
      const sent = await send({ channel, to: ['b@company.test'], notification });
      expect(sent.state).toBe('delivered');
    }
  } finally {
    await server.close();
  }
  expect(server.mails).toHaveLength(ATTEMPTS.length);
  const namesOf = (mail: string) =>
    [...mail.slice(0, mail.indexOf('\r\n\r\n')).matchAll(/^([A-Za-z-]+):/gm)].map(([, name]) => name);
  for (const { from, to, text } of server.mails) {
    expect([from, to]).toEqual(['a@company.test', ['b@company.test']]);
    expect(namesOf(text)).toEqual(namesOf(server.mails[0]!.text));
  }
}, 20_000);

test('a command that is suggested names the host so that our own commands take it back', () => {
  const lines = messageOf(notificationOf()).commands.map(({ line }) => line);
  expect(lines).toContain("clawctl egress add 'evil[.]test' --agent support-bot");
  expect(lines).toContain('clawctl egress kill --agent support-bot');
  expect(lines.join('\n')).not.toContain('evil.test');
});

test('a command that is suggested names the host as we understood it, of those that are hosts the first', () => {
  const commandsOf = (...hosts: string[]) =>
    messageOf(
      notificationOf({ hosts: hosts.map((host) => ({ host, count: 1, reason: 'no-rule' })) }),
    ).commands.map(({ line }) => line);
  expect(commandsOf('$(reboot)', 'EVIL.Test.')).toContain(
    "clawctl egress add 'evil[.]test' --agent support-bot",
  );
  expect(commandsOf('2001:DB8:0::1')).toContain(
    "clawctl egress add '[2001[:]db8[:][:]1]' --agent support-bot",
  );
  expect(commandsOf('$(reboot)', 'a b').join('\n')).not.toMatch(/ (?:add|explain) /);
});

test('a message says what happened, to whom, since when, how often and why', () => {
  const text = textOf(messageOf(notificationOf({ decidingRule: 'egress.yaml:7' })));
  for (const part of [
    'blocked_request_spike (high) holds for support-bot: blocked_requests > 100 in 5 minutes.',
    '2026-03-01T11:58:00.000Z (2m before this)',
    '101 times; 101 where 100 is the limit',
    'egress.yaml:7',
    '101 x evil[.]test (no-rule: no rule allows this host)',
  ])
    expect(text).toContain(part);
});
