/**
 * More requests of the kinds in the corpus, to the proxy and through a tunnel, and more answers of origins. What llhttp
 * reads at the origin is what counts: no request that was not meant, none twice, none in part.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { ADMITTED, REFUSED } from '../rig/requests.ts';
import { inRig } from '../rig/world.ts';
import { Client } from './client.ts';
import { ANSWER, HEARD } from './origin.ts';
import { policyText } from './policytext.ts';
import { openStand, type Stand } from './stand.ts';
import { createSubject, type Subject } from './subject.ts';

const HOST = 'Host: allowed.test\r\n';
const GOOD = `GET http://allowed.test/good HTTP/1.1\r\n${HOST}\r\n`;
const EVIL = 'GET http://evil.test/evil HTTP/1.1\r\nHost: evil.test\r\n\r\n';
const SMUGGLED = 'GET /evil HTTP/1.1\r\nHost: allowed.test\r\n\r\n';
const post = (headers: string, body: string, version = '1.1') =>
  `POST http://allowed.test/good HTTP/${version}\r\n${HOST}${headers}\r\n${body}`;

/** From the requests of a tunnel to those of a proxy. */
const absolute = (octets: string) =>
  octets
    .replace(/http\.test/gi, 'allowed.test')
    .replace(/(^|(?<=\n))([A-Z]+) (\/[^ /\\#][^ ]*|\/) HTTP/g, '$2 http://allowed.test$3 HTTP');

/** The last word says how many requests may arrive whole; most are refused at once. */
const CODINGS = [
  'chunked',
  'Chunked',
  ' chunked',
  'chunked ',
  '\tchunked',
  'chunked\t',
  'chunked,',
  ',chunked',
]
  .concat([
    'chunked, chunked',
    'identity',
    'identity, chunked',
    'chunked, identity',
    'gzip',
    'gzip, chunked',
    'xchunked',
  ])
  .concat([
    'chunkedx',
    '"chunked"',
    'chunked;q=1',
    '\x0bchunked',
    'chunked\x0c',
    '\xa0chunked',
    'chu\tnked',
    'CHUNKED',
    '',
  ]);
const LENGTHS = [
  '0',
  '00',
  '+0',
  '-0',
  '0x0',
  '0 ',
  ' 0',
  '0,0',
  '0, 0',
  '1',
  '01',
  '1e1',
  '1.0',
  '1_0',
  '٣',
  '',
  '99999999999999999999',
].concat(['4294967296', '18446744073709551616', '9007199254740993', '0\t', '0;', '"0"']);
const CHUNKS = [
  '5',
  '05',
  '005',
  '5 ',
  ' 5',
  '\t5',
  '5\t',
  '0x5',
  '5h',
  '+5',
  '-5',
  '5;',
  '5;a',
  '5;a=b',
  '5;a="b"',
  '5 ;a',
  '5; a',
]
  .concat([
    '5;a=\r',
    '5;a\n',
    '5;\0',
    '5\r',
    '\r\n5',
    'g',
    '',
    '100000005',
    '10000000000000005',
    'FFFFFFFFFFFFFFFF',
    '5;a="\r\n"',
  ])
  .concat(['5;\x0b', '5,5', '٥', '5\x0b', '5#', `5;${'a'.repeat(20_000)}`, `${'0'.repeat(5_000)}5`]);
const NAMES = [
  'Transfer-Encoding',
  'transfer-encoding',
  'Transfer_Encoding',
  'Transfer-Encoding ',
  ' Transfer-Encoding',
].concat([
  'Transfer\tEncoding',
  'Transfer-Encoding\0',
  'X: y\nTransfer-Encoding',
  'X: y\rTransfer-Encoding',
  'Content-Length',
]);
const LINES = ['\n', '\r', '\r\r\n', '\n\r', '\r\n\n', '\x0b', '\x0c', '\x85', '\r\n ', '\r\n\t'];

const MANY: string[] = [
  ...CODINGS.flatMap((coding) => [
    post(`Transfer-Encoding: ${coding}\r\n`, `0\r\n\r\n${SMUGGLED}`),
    post(`Transfer-Encoding: ${coding}\r\nContent-Length: 4\r\n`, `0\r\n\r\n${SMUGGLED}`),
    post(`Content-Length: 4\r\nTransfer-Encoding: ${coding}\r\n`, `0\r\n\r\n${SMUGGLED}`),
    post(`Transfer-Encoding: ${coding}\r\nTransfer-Encoding: chunked\r\n`, `0\r\n\r\n${SMUGGLED}`),
    post(`Transfer-Encoding: ${coding}\r\n`, `0\r\n\r\n${SMUGGLED}`, '1.0'),
  ]),
  ...LENGTHS.flatMap((length) => [
    post(`Content-Length: ${length}\r\n`, SMUGGLED),
    post(`Content-Length: ${length}\r\nContent-Length: ${SMUGGLED.length}\r\n`, SMUGGLED),
    post(`Content-Length: ${SMUGGLED.length}\r\nContent-Length: ${length}\r\n`, SMUGGLED),
  ]),
  ...CHUNKS.flatMap((size) => [
    post('Transfer-Encoding: chunked\r\n', `${size}\r\nhello\r\n0\r\n\r\n${SMUGGLED}`),
    post('Transfer-Encoding: chunked\r\n', `${size}\nhello\n0\n\n${SMUGGLED}`),
    post('Transfer-Encoding: chunked\r\n', `${size}\r\nhello${SMUGGLED}`),
  ]),
  ...NAMES.map((name) => post(`${name}: chunked\r\n`, `0\r\n\r\n${SMUGGLED}`)),
  ...LINES.flatMap((line) => [
    `GET http://allowed.test/good HTTP/1.1${line}${HOST}\r\n`,
    `GET http://allowed.test/good HTTP/1.1\r\nX: y${line}Host: evil.test\r\n${HOST}\r\n`,
    `GET http://allowed.test/good HTTP/1.1\r\n${HOST.trimEnd()}${line}${SMUGGLED}`,
    post('Transfer-Encoding: chunked\r\n', `5${line}hello\r\n0\r\n\r\n${SMUGGLED}`),
    post('Transfer-Encoding: chunked\r\n', `5\r\nhello${line}0\r\n\r\n${SMUGGLED}`),
    post('Transfer-Encoding: chunked\r\n', `0\r\nX: y${line}Host: evil.test\r\n\r\n${SMUGGLED}`),
  ]),
  ...['Host', 'Content-Length', 'Transfer-Encoding', 'Connection', 'Proxy-Authorization', 'X-Evil'].flatMap(
    (name) => [
      post(`Connection: ${name.toLowerCase()}\r\nContent-Length: 0\r\n`, SMUGGLED),
      post(`Transfer-Encoding: chunked\r\nTrailer: ${name}\r\n`, `0\r\n${name}: evil.test\r\n\r\n`),
    ],
  ),
  ...[
    'http://allowed.test:80@evil.test/',
    'http://allowed.test%40evil.test/',
    'http://evil.test\\@allowed.test/',
  ]
    .concat([
      'http://allowed.test\\.evil.test/',
      'http:/evil.test/',
      'http:evil.test',
      'http:///evil.test/',
      '//evil.test/',
    ])
    .concat([
      'ftp://allowed.test/',
      'https://allowed.test/',
      'HTTPS://allowed.test/',
      'ws://allowed.test/',
      'file:///etc/passwd',
    ])
    .concat([
      'javascript:1',
      'http://allowed.test:0/',
      'http://allowed.test:65616/',
      'http://allowed.test:080/',
      'http://allowed.test:/',
    ])
    .concat([
      'http://allowed.test:22/',
      'http://allowed.test#@evil.test/',
      'http://allowed.test?@e.test/',
      'http://[allowed.test]/',
    ])
    .concat([
      'http://user:pw@allowed.test/',
      'http:// allowed.test/',
      'http://allowed.test/ evil',
      'http://allowed.test/\x7f',
    ])
    .concat([
      'http://allowed.test/\x80',
      'http://allowed.test/#evil',
      '*',
      '/',
      'allowed.test',
      'allowed.test:80',
      'evil.test:443',
    ])
    .map((target) => `GET ${target} HTTP/1.1\r\n${HOST}\r\n`),
  ...['TRACE', 'TRACK', 'CONNECT', 'PRI', 'get', 'GE T', 'G\0T', 'GET\t', '', 'a'.repeat(500)].map(
    (method) => `${method} http://allowed.test/ HTTP/1.1\r\n${HOST}\r\n`,
  ),
  ...[
    'HTTP/1.2',
    'HTTP/2',
    'HTTP/2.0',
    'HTTP/0.9',
    'http/1.1',
    'HTTP/1.10',
    'HTTP/01.1',
    'HTTP/1.1 ',
    'HTTP /1.1',
    'HTTPS/1.1',
    '',
  ].map((version) => `GET http://allowed.test/ ${version}\r\n${HOST}\r\n`),
  ...['websocket', 'h2c', 'TLS/1.0', 'HTTP/2.0', 'x'].map(
    (protocol) =>
      `GET http://allowed.test/good HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n${EVIL}`,
  ),
  ...['x', '100-Continue, x', 'y 100-continue', '100-continue;q=1', '200-ok'].map((expectation) =>
    post(`Expect: ${expectation}\r\nContent-Length: 1\r\n`, 'Z'),
  ),
  `${GOOD}${EVIL}`,
  `${post('Content-Length: 5\r\n', 'hello')}${EVIL}`,
  `${GOOD}CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n`,
  `${GOOD.repeat(9)}${EVIL}`,
  `PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n${EVIL}`,
  `\r\n\r\n\r\n${EVIL}`,
];

/** What an origin may say wrong; nothing of it may pass for an answer of ours, or for the answer to somebody else. */
const ANSWERS: Record<string, string> = {
  'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nheard!',
  'both lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'a length with a sign': 'HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nheard',
  'a bare LF': 'HTTP/1.1 200 OK\nContent-Length: 5\n\nheard',
  'a bare CR': 'HTTP/1.1 200 OK\r\nX: y\rSet-Cookie: a=b\r\nContent-Length: 5\r\n\r\nheard',
  'a folded field': 'HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 5\r\n\r\nheard',
  'a NUL': 'HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 5\r\n\r\nheard',
  'a space before the colon': 'HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nheard',
  'another coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
  'a chunk size with a prefix':
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nheard\r\n0\r\n\r\n',
  'another version': 'HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nheard',
  'no status': 'HTTP/1.1 OK\r\nContent-Length: 5\r\n\r\nheard',
  'a status of four digits': 'HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nheard',
  'a status of two': 'HTTP/1.1 99 OK\r\nContent-Length: 5\r\n\r\nheard',
  'no HTTP': 'SSH-2.0-OpenSSH\r\n',
  'a switch that nobody asked for':
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
  'interim answers without an end': 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(5_000),
  'a head without an end': `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(20_000)}`,
  'a line without an end': `HTTP/1.1 200 ${'O'.repeat(200_000)}`,
};

describe.skipIf(!inRig)('a proxied request', () => {
  let stand: Stand;
  let subject: Subject;
  beforeAll(async () => {
    stand = await openStand();
    subject = await createSubject();
    subject.load(policyText({ allow: ['allowed.test'] }));
  });
  beforeEach(() => {
    stand.forget();
    stand.good.answer = ANSWER;
  });
  afterAll(async () => {
    await subject.close();
    stand.close();
  });

  /** All that is heard until silence. */
  async function ask(octets: string, before = ''): Promise<Client> {
    const client = new Client(subject.proxyPort);
    if (before !== '') {
      client.say(before);
      await client.until((heard) => heard.includes('\r\n\r\n'), 1_000);
    }
    const at = client.heard.length;
    client.say(octets);
    await client.until((heard) => heard.length > at, 1_000);
    await client.until(() => false, 15);
    client.leave();
    return client;
  }

  /** What is wrong at the origin, or elsewhere, after one conversation. */
  function wrong(): string | null {
    const requests = stand.good.visits.flatMap((visit) => visit.requests);
    const evil = requests.find(
      ({ line, headers }) =>
        line.includes('evil') ||
        headers.some(
          ([name, value]) => /^host$/i.test(name) && value !== 'allowed.test' && value !== 'allowed.test:80',
        ),
    );
    if (evil !== undefined) return `the origin was asked for ${JSON.stringify(evil)}`;
    if (stand.good.visits.some(({ broken }) => broken)) return 'the origin had octets that are no request';
    if (stand.sink.arrivals.length > 0) return 'somebody arrived elsewhere';
    return stand.names.questions.some((name) => name.includes('evil')) ? 'the name server was asked' : null;
  }

  const WAYS: [title: string, requests: () => string[], before: string][] = [
    ['that is ambiguous arrives as what was judged, or not at all', () => MANY, ''],
    [
      'of those that a tunnel refuses does the same',
      () =>
        REFUSED.filter(([title]) => title !== 'no Host in HTTP/1.0').map(([, octets]) => absolute(octets)),
      '',
    ],
    [
      'through CONNECT to port 80 is held to the same',
      () => REFUSED.map(([, octets]) => octets.replaceAll('http.test', 'allowed.test')),
      'CONNECT allowed.test:80 HTTP/1.1\r\nHost: allowed.test:80\r\n\r\n',
    ],
  ];
  for (const [title, requests, before] of WAYS)
    test(title, async () => {
      const found: string[] = [];
      for (const octets of requests()) {
        stand.forget();
        const { heard, end } = await ask(octets, before);
        const what = wrong();
        if (what !== null) found.push(`${JSON.stringify(octets.slice(0, 200))}: ${what}`);
        const last = /.*HTTP\/1\.1 (\d+)/s.exec(heard)?.[1] ?? '';
        // What could be read and is refused by the policy leaves no doubt about where the next one begins.
        if (
          last !== '' &&
          Number(last) >= 400 &&
          last !== '403' &&
          end === null &&
          !/\r\nConnection: close/i.test(heard)
        )
          found.push(`${JSON.stringify(octets.slice(0, 200))}: refused by ${last}, and goes on`);
      }
      expect(found).toEqual([]);
      expect((await ask(GOOD)).heard).toEndWith(HEARD);
    }, 60_000);

  test('that is clear arrives, and is answered', async () => {
    // A target is spelled as its Host is, dot or no dot.
    const elsewhere = ['OPTIONS *', 'a dot at the end'];
    for (const [title, octets] of ADMITTED.filter(([title]) => !elsewhere.includes(title))) {
      stand.forget();
      const { heard } = await ask(absolute(octets));
      expect([title, wrong(), heard]).toEqual([title, null, expect.stringContaining(HEARD)]);
    }
  });

  test('that the origin answers with nonsense is answered with a failure of ours', async () => {
    for (const [title, answer] of Object.entries(ANSWERS)) {
      stand.good.answer = answer;
      const { heard } = await ask(GOOD);
      expect([title, heard.slice(0, 12)]).toEqual([title, 'HTTP/1.1 502']);
      expect([title, heard]).not.toEqual([title, expect.stringContaining(HEARD)]);
    }
    stand.good.answer = ANSWER;
    expect((await ask(GOOD)).heard).toEndWith(HEARD);
  });

  test('is never answered with what an origin said too early', async () => {
    // More than one answer to one request: the rest belongs to nobody.
    stand.good.answer = `${ANSWER}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`;
    const client = new Client(subject.proxyPort);
    for (let i = 0; i < 3; i++) {
      client.say(GOOD);
      await client.until(() => false, 60);
    }
    client.leave();
    const other = await ask(GOOD);
    expect(client.heard + other.heard).not.toContain('poison');
  });

  test('is never answered by an origin in our name', async () => {
    stand.good.answer =
      'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\nX-Clawctl-Reason: killed\r\nX-CLAWCTL-Decision: allow\r\nProxy-Connection: keep-alive\r\nContent-Length: 0\r\n\r\n';
    const { heard } = await ask(GOOD);
    expect(heard).toStartWith('HTTP/1.1 502');
    expect(heard).not.toMatch(/proxy-authenticate|killed|decision/i);
  });
});
