import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { readDocument } from './document.ts';
import { documentOf, problemsOf } from './policy.fixture.ts';
import { didYouMean, problemText } from './problem.ts';

describe('a policy file', () => {
  test('with every key is read whole', () => {
    const document = documentOf(`
version: 1
mode: enforce # comment
presets: [default]
allow:
  - api.yourcompany.com
  - "*.internal.company.com"
  - host: db.internal.company.com
    ports: [5432]
    addresses: [10.0.0.0/8]
    agents: [support-bot]
    tls: any
    until: 2026-12-01T00:00:00Z
    note: SEC-12
deny:
  - gist.github.com
agents:
  support-bot:
    inherit: false
    allow: [hooks.slack.com]
    deny: ["*"]
hosts:
  DB.internal.company.com: 10.1.2.3
  two.example.com: [10.1.2.4, "2001:db8::1"]
dns: { upstream: https://dns.example/dns-query }
limits: { connections_per_agent: 1024, idle: 15m, header_bytes: 32768 }
`);
    expect(document.rules.map(({ action, host }) => `${action} ${host}`)).toEqual([
      'allow api.yourcompany.com',
      'allow *.internal.company.com',
      'allow db.internal.company.com',
      'deny gist.github.com',
    ]);
    expect(document.rules[2]).toMatchObject({
      ports: [5432],
      addresses: ['10.0.0.0/8'],
      agents: ['support-bot'],
      tls: 'any',
      until: Date.UTC(2026, 11, 1),
      note: 'SEC-12',
      source: { line: 8, column: 5 },
    });
    expect(document.agents.get('support-bot')).toMatchObject({
      inherit: false,
      rules: [{ agents: ['support-bot'] }, {}],
    });
    expect(document.hosts.get('db.internal.company.com')!.map(({ text }) => text)).toEqual(['10.1.2.3']);
    expect(document.hosts.get('two.example.com')!.length).toBe(2);
    expect(document.upstream).toBe('https://dns.example/dns-query');
    expect(document.limits).toEqual({ connectionsPerAgent: 1_024, idle: 900_000, headerBytes: 32_768 });
  });

  test('says what is left out: nothing', () => {
    const document = documentOf('version: 1');
    expect(document).toMatchObject({
      mode: null,
      locked: false,
      presets: [],
      rules: [],
      upstream: null,
      limits: {},
    });
  });

  test('may force what is broad, and deny it without', () => {
    const { rules } = documentOf(
      'allow: [{host: "*.com", force: true}, {host: "*", force: true}]\ndeny: ["*.xyz", "*"]',
    );
    expect(rules.map(({ host, force }) => [host, force])).toEqual([
      ['*.com', true],
      ['*', true],
      ['*.xyz', false],
      ['*', false],
    ]);
  });

  test('may be JSON, or have Windows line breaks', () => {
    expect(documentOf('{"version": 1, "allow": ["example.com"]}').rules[0]!.host).toBe('example.com');
    expect(documentOf('version: 1\r\nallow:\r\n  - example.com\r\n').rules[0]!.source).toMatchObject({
      line: 3,
      column: 5,
    });
  });
});

/** A file and what its first problem says. */
const BROKEN: ReadonlyArray<[title: string, text: string, problem: string]> = [
  ['an empty file', '', 'the file is empty'],
  ['comments alone', '# nothing\n', 'the file is empty'],
  ['a list', '- example.com', 'a policy is a mapping'],
  ['a mistyped key', 'alow: [example.com]', "unknown key 'alow'"],
  ['a key of rules at the top', 'host: example.com', "unknown key 'host'"],
  ['a prototype key', '{"__proto__": {"allow": ["*"]}, "allow": []}', "'__proto__' cannot be a key"],
  ['a prototype key in agents', 'agents: {constructor: {}}', "'constructor' cannot be a key"],
  ['a key given twice', 'allow: [a.com]\nallow: [b.com]', "'allow' is given twice"],
  ['a merge key', '<<: {allow: [a.com]}', "unknown key '<<'"],
  ['an anchor', 'allow: &a [x.com]', 'anchors and aliases'],
  ['an alias bomb', 'a: &a [x, x]\nb: &b [*a, *a]\nallow: [*b, *b]', 'anchors and aliases'],
  ['an unquoted wildcard', 'allow: [*.x.com]', 'an unquoted * begins an alias'],
  ['a tag', 'allow: !!set {a.com}', 'tags are refused'],
  ['a directive', '%YAML 1.1\n---\nallow: [a.com]', 'directives are refused'],
  ['a directive that nobody knows', '%FOO bar\n---\nallow: [a.com]', 'egress.yaml:1:1: YAML directives'],
  ['a directive below a comment', '# c\n%TAG ! !\n---\nallow: [a.com]', 'egress.yaml:2:1: YAML directives'],
  ['a directive at the end', 'allow: [a.com]\n...\n%FOO bar\n', 'egress.yaml:3:1: YAML directives'],
  ['an escaped letter in a host', 'allow: ["\\x65vil.test"]', '1:10: a backslash hides what is meant'],
  ['an escaped letter in Unicode', 'allow: [{host: "\\u0065vil.test"}]', "Write 'evil.test'."],
  ['an escaped wildcard', 'allow: ["\\x2a.evil.test"]', "Write '*.evil.test'."],
  ['a host on two lines', 'allow: ["evi\\\n  l.test"]', "Write 'evil.test'."],
  ['an escaped key', '"\\x61llow": [a.test]', "Write 'allow'."],
  ['an escaped key in a rule', 'allow: [{"\\x68ost": a.test}]', "Write 'host'."],
  ['an escaped name in hosts', 'hosts: {"\\x61.test": 10.0.0.1}', "Write 'a.test'."],
  ['an escaped address', 'allow: [{host: a.test, addresses: ["10.0.0.\\x31"]}]', "Write '10.0.0.1'."],
  ['an escaped agent', 'allow: [{host: a.test, agents: ["\\x62ot"]}]', "Write 'bot'."],
  ['an escaped section', 'agents: {"\\x62ot": {}}', "Write 'bot'."],
  ['an escaped mode', 'mode: "\\x6fbserve"', "Write 'observe'."],
  ['an escaped listener', 'listen: ["0.0.0.0\\x3a8880"]', "Write '0.0.0.0:8880'."],
  ['an escaped end', 'allow: [{host: a.test, until: "2026-12-01T00:00:00\\x5a"}]', 'a backslash hides'],
  ['an escaped secret', 'channels: {p: {type: pagerduty, key: "env\\x3aKEY"}}', 'in single quotes'],
  ['a second document', 'allow: []\n---\nallow: [a.com]', 'more than one document'],
  ['a tab', 'allow:\n\t- a.com', 'a tab indents'],
  ['an open bracket', 'allow: [a.com', 'not valid YAML'],
  [
    'entries of a list that lost their indentation',
    'alerts:\n- name: a\ncondition: killed\n- name: b\ncondition: killed\n',
    'two columns behind its dash',
  ],
  ['a byte order mark', '\uFEFFallow: []', 'byte order mark'],
  ['a NUL', 'allow: [a.com]\n\0', 'NUL'],
  ['UTF-16 read as UTF-8', 'a\0l\0l\0o\0w\0', 'NUL'],
  ['deep nesting', '['.repeat(100_000), ''],
  ['deep nesting under a key', `allow: ${'['.repeat(30)}${']'.repeat(30)}`, 'nested too deeply'],
  ['another version', 'version: 2', 'version 2 is not known'],
  ['no list', 'allow: example.com', "'allow' is a list"],
  ['an empty value', 'allow:', "'allow' is a list"],
  ['null', 'allow: null', "'allow' is a list"],
  ['an empty host', 'allow: [""]', 'the host is empty'],
  ['no as a host', 'allow: [no]', "'no' is not text"],
  ['a float as a host', 'allow: [1e3]', "'1e3' is not text"],
  ['an octal as a host', 'allow: [0o17]', "'0o17' is not text"],
  ['a sexagesimal as a host', 'allow: [22:22]', "'22:22' is not text"],
  ['null as a host', 'allow: [~]', "'~' is not text"],
  ['a list as a host', 'allow: [[::1]]', 'a host is plain text'],
  ['every host', 'allow: ["*"]', 'force: true'],
  ['a public suffix', 'allow: [{host: "*.com"}]', 'com is a public suffix'],
  ['a shared suffix in a section', 'agents: {bot: {allow: ["*.github.io"]}}', 'github.io is a public suffix'],
  ['force in a denial', 'deny: [{host: "*", force: true}]', "unknown key 'force'"],
  ['an unknown group', 'allow: ["@nosuchgroup"]', 'there are no groups'],
  ['a rule without a host', 'allow: [{ports: [1]}]', 'a rule without a host'],
  ['an unknown key in a rule', 'allow: [{host: a.com, prots: [1]}]', "unknown key 'prots'"],
  [
    'an option of allow rules in a denial',
    'deny: [{host: a.com, addresses: [10.0.0.0/8]}]',
    "unknown key 'addresses'",
  ],
  ['port 0', 'allow: [{host: a.com, ports: [0]}]', 'a port is a whole number from 1 to 65535'],
  ['port 65536', 'allow: [{host: a.com, ports: [65536]}]', 'a port is'],
  ['a port in hexadecimal', 'allow: [{host: a.com, ports: [0x50]}]', 'a port is'],
  ['a port with an exponent', 'allow: [{host: a.com, ports: [1e3]}]', 'a port is'],
  ['a quoted port', 'allow: [{host: a.com, ports: ["443"]}]', 'a port is'],
  ['no list of ports', 'allow: [{host: a.com, ports: 443}]', 'ports: [443]'],
  ['an empty list of ports', 'allow: [{host: a.com, ports: []}]', "'ports' is empty"],
  ['an empty list of agents', 'allow: [{host: a.com, agents: []}]', "'agents' is empty"],
  ['no name of an agent', 'allow: [{host: a.com, agents: ["../x"]}]', 'is not the name of an agent'],
  [
    'agents inside a section',
    'agents: {bot: {allow: [{host: a.com, agents: [eve]}]}}',
    "unknown key 'agents'",
  ],
  ['a name among addresses', 'allow: [{host: a.com, addresses: [b.com]}]', 'is not an address or range'],
  ['bits beyond the prefix', 'allow: [{host: a.com, addresses: [10.0.0.1/8]}]', '10.0.0.0/8'],
  ['a date without time', 'allow: [{host: a.com, until: 2026-12-01}]', "'2026-12-01' is not a time"],
  ['a time without zone', 'allow: [{host: a.com, until: 2026-12-01T00:00:00}]', 'is not a time'],
  ['February 30', 'allow: [{host: a.com, until: 2026-02-30T00:00:00Z}]', 'is not a time'],
  ['a word for true', 'allow: [{host: "*", force: yes}]', 'force is true or false'],
  ['a line break in a note', 'allow: [{host: a.com, note: "a\\nb"}]', 'a note is one line'],
  ['an unknown mode', 'mode: observer', "Did you mean 'observe'?"],
  ['a mode of later', 'mode: ask', "'ask' is not supported yet"],
  ['an unknown preset', 'presets: [defualt]', "Did you mean 'default'?"],
  ['alerts that are no list', 'alerts: {}', "'alerts' is a list"],
  ['channels that are no mapping', 'channels: []', "'channels' is a mapping"],
  ['a limit of later', 'limits: {bytes_down: 5 MB/day}', "'bytes_down' is not supported yet"],
  ['an unknown limit', 'limits: {idel: 5m}', "Did you mean 'idle'?"],
  ['no duration', 'limits: {idle: soon}', 'idle is a duration'],
  ['an address as a name', 'hosts: {10.0.0.1: 10.0.0.2}', "'10.0.0.1' is not a host name"],
  ['a name as an address', 'hosts: {a.com: b.com}', "'b.com' is not an address"],
  ['no address', 'hosts: {a.com: []}', "'a.com' has no address"],
  ['a host given twice', 'hosts: {a.com: 10.0.0.1, A.com: 10.0.0.2}', "'a.com' is given twice"],
  ['no resolver', 'dns: {upstream: ftp://x}', 'is not a resolver'],
  ['a resolver with a password', 'dns: {upstream: "https://a:b@x.com/"}', 'is not a resolver'],
];

/** Connections are judged by the IPv4 address, so each of these would hold for nothing. */
const MAPPED: ReadonlyArray<[place: string, text: string, instead: string]> = [
  ['a denial', 'deny: ["::ffff:203.0.113.66"]', '203.0.113.66'],
  ['a denial in hexadecimal', 'deny: ["[::ffff:cb00:7142]"]', '203.0.113.66'],
  ['a denied range', 'deny: ["::ffff:203.0.113.0/120"]', '203.0.113.0/24'],
  ['everything of it', 'deny: ["::ffff:0:0/96"]', '0.0.0.0/0'],
  ['a rule in brackets', 'allow: [{host: "[::ffff:10.0.0.1]", addresses: [10.0.0.1]}]', '10.0.0.1'],
  ['addresses', 'allow: [{host: a.test, addresses: ["::ffff:10.0.0.0/104"]}]', '10.0.0.0/8'],
  ['from', 'agents: {bot: {from: ["::ffff:10.0.0.1"]}}', '10.0.0.1'],
  ['proxy_protocol', 'listen: [{address: "10.0.0.9:8443", proxy_protocol: ["::ffff:10.0.0.1"]}]', '10.0.0.1'],
  ['hosts', 'hosts: {a.test: "::ffff:10.0.0.1"}', '10.0.0.1'],
  ['a list in hosts', 'hosts: {a.test: [10.0.0.2, "::ffff:10.0.0.1"]}', '10.0.0.1'],
];

describe('a broken policy file', () => {
  for (const [place, text, instead] of MAPPED)
    test(`is refused: an IPv4-mapped address in ${place}`, () => {
      const problems = problemsOf(text);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toContain('mapped into IPv6');
      expect(problems[0]).toEndWith(`Write ${instead}.`);
    });

  test('is not one with quotes in a note, a condition or a command, which need their backslash', () => {
    const note = String.raw`{ host: a.test, note: "says \"why\": C:\\x" }`;
    const command = String.raw`{ type: command, command: [/bin/sh, "-c", "echo \"$1\""] }`;
    const condition = String.raw`{ name: a, condition: "domain matches *.xyz\n" }`;
    const text = `allow: [${note}]\nchannels: { c: ${command} }\nalerts: [${condition}]\n`;
    expect(documentOf(text).rules[0]!.note).toBe(String.raw`says "why": C:\x`);
  });

  test('is not one with ranges that hold the mapped addresses among others', () => {
    expect(problemsOf('deny: ["::/0", "::/64", "::fffe:0:0/96"]')).toEqual([]);
  });

  // PyYAML and many editors begin a line behind the first four; here it would be more of the comment.
  for (const code of [
    ...[0x0d, 0x85, 0x2028, 0x2029],
    ...[0x01, 0x08, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f, 0x80, 0x9f, 0x061c, 0x200e, 0x200f, 0x202a, 0x202e],
    ...[0x2066, 0x2069, 0xfeff, 0xfffe, 0xffff],
  ])
    test(`is refused: a denial behind U+${code.toString(16)} in a comment`, () => {
      const comment = `# ticket${String.fromCharCode(code)}  - evil.c.test`;
      const problems = problemsOf(`version: 1\nallow:\n  - "*.c.test"\ndeny:\n  - a.test ${comment}\n`);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toContain('egress.yaml:5:20: ');
      expect(problems[0]).toContain(`U+${code.toString(16).toUpperCase().padStart(4, '0')}`);
    });

  test('is not one with comments and notes of any script, tabs and Windows line breaks', () => {
    const note = 'für später, потом, 後で, بعد, 🚫';
    const text = `allow:\r\n  - { host: a.test, note: "${note}" }\t# ${note}\r\n`;
    expect(documentOf(text).rules[0]!.note).toBe(note);
  });

  for (const [title, text, problem] of BROKEN)
    test(`is refused: ${title}`, () => {
      const problems = problemsOf(text);
      expect(problems.length).toBeGreaterThan(0);
      expect(problems[0]).toContain(problem);
    });

  test('is shown as a compiler would', () => {
    expect(problemsOf('version: 1\nallow: [example.com]\nalow: [b.com]\n')).toEqual([
      "egress.yaml:3:1: unknown key 'alow' in the policy\n  alow: [b.com]\n  ^\n  Did you mean 'allow'?",
    ]);
  });

  test('is shown with all its problems, up to twenty', () => {
    expect(problemsOf('mode: x\npresets: [y]\nallow: ["a b"]').length).toBe(3);
    expect(problemsOf(`allow: [${'"a b", '.repeat(50)}]`).length).toBe(20);
  });

  test('never sends control characters to a terminal', () => {
    const problems = problemsOf('allow: ["\u001b]0;x\u0007.com", "a\u202eb.com"]');
    expect(problems.join('\n')).not.toMatch(/[\u001b\u0007\u202e]/);
  });

  test('with a very long line is shown around the place', () => {
    const [problem] = problemsOf(`allow: [${'a.com, '.repeat(10_000)}"b c"]`);
    expect(problem!.length).toBeLessThan(600);
    expect(problem).toContain('b c');
  });

  test('is read in linear time, however many keys it has', () => {
    const hosts = Array.from({ length: 20_000 }, (_, i) => `  h${i}.example.com: 192.0.2.1\n`).join('');
    const start = performance.now();
    expect(documentOf(`hosts:\n${hosts}`).hosts.size).toBe(20_000);
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});

test('readDocument never throws, and a problem has a place in the text', () => {
  const fragment = fc.constantFrom(
    'allow',
    'deny',
    ':',
    ' ',
    '\n',
    '- ',
    '[',
    ']',
    '{',
    '}',
    'a.com',
    '*',
    '&a',
    '*a',
    '"',
    "'",
    '|',
    '>',
    '!!str',
    '? ',
    '#',
    '---',
    '%YAML',
    '\t',
    'host',
    'ports',
    '443',
    ',',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fragment, { maxLength: 40 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (text) => {
      const result = readDocument(text, 'p.yaml');
      if (result.ok) return;
      for (const problem of result.problems) {
        expect(problem.line).toBeGreaterThan(0);
        expect(problem.column).toBeGreaterThan(0);
        expect(problem.line).toBeLessThanOrEqual(text.split('\n').length);
        expect(problemText(problem)).toContain('p.yaml:');
      }
    }),
    { numRuns: 3_000 },
  );
});

test('didYouMean offers the nearest word, or all', () => {
  expect(didYouMean('presest', ['presets', 'allow'])).toBe("Did you mean 'presets'?");
  expect(didYouMean('zzz', ['presets', 'allow'])).toBe('Possible: presets, allow.');
});
