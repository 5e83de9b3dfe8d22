import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { octets } from '../feeding.fixture.ts';
import { createBodyReader } from './body.ts';
import { HEAD_LIMITS } from './fields.ts';
import { parseRequestHead } from './head.ts';
import { originForm, writeRequestHead, writeResponseHead } from './passing.ts';
import { parseResponseHead } from './response.ts';

const FOR_US = [
  'Connection: keep-alive, X-Named, x-other',
  'Keep-Alive: timeout=5',
  'X-Named: here only',
  'X-OTHER: here only',
  'TE: trailers',
  'HTTP2-Settings: AAMAAABkAAQ',
  'Proxy: http://evil.example/',
  'Proxy-Connection: keep-alive',
  'Proxy-Authorization: Basic c2VjcmV0',
  'pRoXy-Authenticate: Basic',
  'Proxy-Status: a; error=b',
  'X-Clawctl-Reason: no-rule',
  'x_clawctl_reason: no-rule',
];
const FOR_ALL = [
  'Authorization: Bearer x',
  'Cookie: a=b',
  'X-Clawctlx: y',
  'Via: 1.1 other',
  '__proto__: x',
  'Kept: yes',
  'Prox: y',
];

function requestAs(lines: string[], passage = {}): string {
  const parsed = parseRequestHead(octets(`${lines.join('\r\n')}\r\n\r\n`), HEAD_LIMITS);
  if (parsed.state !== 'value') throw new Error(JSON.stringify(parsed));
  return writeRequestHead(parsed.value, { path: '/p', authority: 'a.example', upgrade: null, ...passage });
}
function responseAs(lines: string[], passage = {}): string {
  const parsed = parseResponseHead(octets(`${lines.join('\r\n')}\r\n\r\n`), 'GET', HEAD_LIMITS);
  if (parsed.state !== 'value') throw new Error(JSON.stringify(parsed));
  return writeResponseHead(parsed.value, { close: false, chunked: false, ...passage });
}

describe('a request goes on', () => {
  test('without what is for one hop, a proxy or the gateway, and with everything else in its order', () => {
    const mixed = FOR_US.flatMap((line, i) => (FOR_ALL[i] === undefined ? [line] : [line, FOR_ALL[i]]));
    expect(requestAs(['GET http://A.example:80/p HTTP/1.1', 'host: A.example:80', ...mixed])).toBe(
      `GET /p HTTP/1.1\r\nHost: a.example\r\n${FOR_ALL.join('\r\n')}\r\n\r\n`,
    );
  });

  test('with the framing that was read', () => {
    const post = (field: string) => requestAs(['POST http://a.example/ HTTP/1.1', 'Host: a.example', field]);
    expect(post('Content-Length: 5')).toContain('\r\nContent-Length: 5\r\n');
    expect(post('transfer-encoding: chunked')).toEndWith(
      'Host: a.example\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
  });

  test('with Expect only from a client that knows of it, and with Trailer only where all of it may come', () => {
    const get = (version: string, field: string) =>
      requestAs([`GET http://a.example/ HTTP/${version}`, 'Host: a.example', field]).includes(field);
    expect(get('1.1', 'Expect: 100-continue')).toBe(true);
    expect(get('1.0', 'Expect: 100-continue')).toBe(false);
    expect(get('1.1', 'Trailer: X-Sum')).toBe(true);
    expect(get('1.1', 'Trailer: X-Sum, Host')).toBe(false);
  });

  test('with an upgrade only where one is let through', () => {
    const lines = [
      'GET http://a.example/ HTTP/1.1',
      'Host: a.example',
      'Connection: upgrade',
      'Upgrade: WebSocket',
    ];
    expect(requestAs(lines)).not.toContain('pgrade');
    expect(requestAs(lines, { upgrade: 'websocket' })).toEndWith(
      '\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
  });

  test('asking for the path of its target', () => {
    const cases = {
      'http://a.example': '/',
      'http://a.example/': '/',
      'HTTP://a.example?q=/x': '/?q=/x',
      'http://a.example:80/a%0d%0a//b?c': '/a%0d%0a//b?c',
      'http://a.example//b.example/': null,
      'http://a.example/\\b.example/': null,
    };
    for (const [target, path] of Object.entries(cases))
      expect([target, originForm('GET', target)]).toEqual([target, path]);
    expect(originForm('OPTIONS', 'http://a.example')).toBe('*');
    expect(originForm('OPTIONS', 'http://a.example/')).toBe('/');
  });
});

describe('an answer goes on', () => {
  test('without what is for one hop, a proxy or the gateway, and with everything else in its order', () => {
    const mixed = FOR_US.flatMap((line, i) => (FOR_ALL[i] === undefined ? [line] : [line, FOR_ALL[i]]));
    expect(responseAs(['HTTP/1.0 299 \xfcber', 'Upgrade: h2c', ...mixed])).toBe(
      `HTTP/1.1 299 \xfcber\r\n${FOR_ALL.join('\r\n')}\r\n\r\n`,
    );
  });

  test('saying what becomes of the connection, and how the body goes on', () => {
    const lines = ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Connection: close'];
    expect(responseAs(lines)).toBe('HTTP/1.1 200 OK\r\n\r\n');
    expect(responseAs(lines, { chunked: true, close: true })).toBe(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n',
    );
  });
});

describe('a body goes on', () => {
  const passed = (text: string, cuts: number[] = [], bare = false) => {
    const bytes = octets(text);
    const reader = createBodyReader({ kind: 'chunked' }, bare);
    const onward: Uint8Array[] = [];
    const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort(
      (a, b) => a - b,
    );
    let at = 0;
    for (const end of ends) {
      reader.push(bytes.subarray(at, end), onward);
      at = end;
    }
    return Buffer.concat(onward).toString('latin1');
  };
  const SENT =
    '5;a="b c"\r\nhello\r\n00A;x\r\n0123456789\r\n1\r\n!\r\n0;last\r\nX-Sum: 1\r\nAuthorization: y\r\nproxy-x: z\r\nETag: t\r\n\r\nnext';

  test('in the same chunks, without their extensions and without trailers that steer', () => {
    expect(passed(SENT)).toBe(
      '5\r\nhello\r\n00A\r\n0123456789\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\nETag: t\r\n\r\n',
    );
    expect(passed('0\r\n\r\n')).toBe('0\r\n\r\n');
  });

  test('bare of chunks for who does not know them', () => {
    expect(passed(SENT, [], true)).toBe('hello0123456789!');
  });

  test('the same however it was split', () => {
    for (let cut = 0; cut < SENT.length; cut++)
      for (const bare of [false, true])
        expect([cut, passed(SENT, [cut], bare)]).toEqual([cut, passed(SENT, [], bare)]);
    fc.assert(
      fc.property(fc.array(fc.nat(150)), fc.boolean(), (cuts, bare) => {
        expect(passed(SENT, cuts, bare)).toBe(passed(SENT, [], bare));
      }),
    );
  });

  test('at once, whatever its length', () => {
    const bytes = octets('abcnext');
    const onward: Uint8Array[] = [];
    createBodyReader({ kind: 'length', length: 3 }).push(bytes, onward);
    expect(Buffer.concat(onward).toString()).toBe('abc');
  });
});

test('nothing that frames, routes, authenticates or is a proxy’s passes in a trailer', () => {
  for (const name of [
    'Set-Cookie',
    'WWW-Authenticate',
    'Content-Type',
    'Proxy-Authorization',
    'X-Clawctl-Reason',
    'Upgrade',
    'TE',
    'If-Match',
    'Location',
    'X-Forwarded-For',
    'Keep-Alive',
  ]) {
    const onward: Uint8Array[] = [];
    const state = createBodyReader({ kind: 'chunked' }).push(octets(`0\r\n${name}: x\r\n\r\n`), onward).state;
    expect([name, state, Buffer.concat(onward).toString()]).toEqual([name, 'done', '0\r\n\r\n']);
  }
});
