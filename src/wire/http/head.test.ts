import { describe, expect, test } from 'bun:test';
import { answerOfEverySplit, octets } from '../feeding.fixture.ts';
import { HEAD_LIMITS } from './fields.ts';
import { parseRequestHead, type RequestHead } from './head.ts';

const parse = (text: string, limits = HEAD_LIMITS) =>
  answerOfEverySplit<RequestHead>((prefix, seen) => parseRequestHead(prefix, limits, seen), octets(text));
const request = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`;
const get = (...headers: string[]) => request('GET / HTTP/1.1', 'Host: a.example', ...headers);
const post = (...headers: string[]) => request('POST / HTTP/1.1', 'Host: a.example', ...headers);

function headIn(text: string): RequestHead {
  const answer = parse(text);
  if (answer.state !== 'value') throw new Error(JSON.stringify(answer));
  return answer.value;
}
function refused(...texts: string[]) {
  for (const text of texts) expect([text, parse(text).state]).toEqual([text, 'malformed']);
}

describe('a request head', () => {
  test('says method, target, host, headers and what follows', () => {
    const text = request(
      'POST /v1?q=1 HTTP/1.1',
      'Host: A.example:8080',
      'X-Note:  two words\t',
      'Content-Length: 5',
    );
    expect(parse(`${text}hello`)).toEqual({
      state: 'value',
      end: text.length,
      value: {
        method: 'POST',
        target: '/v1?q=1',
        form: 'origin',
        version: 1,
        host: { name: 'A.example', port: 8080 },
        headers: [
          ['Host', 'A.example:8080'],
          ['X-Note', 'two words'],
          ['Content-Length', '5'],
        ],
        body: { kind: 'length', length: 5 },
        upgrade: null,
        connection: [],
        expectContinue: false,
        close: false,
      },
    });
  });

  test('has one of four kinds of target', () => {
    const forms = (text: string) => [headIn(text).form, headIn(text).host];
    expect(forms(get())).toEqual(['origin', { name: 'a.example', port: null }]);
    expect(forms(request('OPTIONS * HTTP/1.1', 'Host: [2001:db8::1]'))).toEqual([
      'asterisk',
      { name: '[2001:db8::1]', port: null },
    ]);
    expect(forms(request('GET HTTP://A.example/x HTTP/1.1', 'Host: a.example:80'))).toEqual([
      'absolute',
      { name: 'A.example', port: null },
    ]);
    expect(forms(request('CONNECT a.example:443 HTTP/1.1', 'Host: a.example:443'))).toEqual([
      'authority',
      { name: 'a.example', port: 443 },
    ]);
  });

  test('keeps encoded bytes of the path as they are, and strange but harmless header names', () => {
    const head = headIn(
      request('GET /%0d%0aHost:%20b.example?a=\\ HTTP/1.1', 'Host: a.example', '__proto__: x'),
    );
    expect(head.target).toBe('/%0d%0aHost:%20b.example?a=\\');
    expect(head.headers[1]).toEqual(['__proto__', 'x']);
  });

  test('says what becomes of the connection', () => {
    expect(headIn(get('Connection: Close, x')).close).toBe(true);
    expect(headIn(get('Connection: close,')).close).toBe(true);
    expect(headIn(get('Connection: , ,close,\t,x')).connection).toEqual(['close', 'x']);
    expect(headIn(get('Connection:')).connection).toEqual([]);
    expect(headIn(request('GET / HTTP/1.0')).close).toBe(true);
    expect(headIn(request('GET / HTTP/1.0', 'Connection: keep-alive')).close).toBe(false);
    expect(headIn(get('Connection: Upgrade', 'Upgrade: WebSocket')).upgrade).toBe('websocket');
    expect(headIn(get('Upgrade: h2c')).upgrade).toBe('h2c');
    expect(headIn(post('Expect: 100-Continue', 'Transfer-Encoding: chunked'))).toMatchObject({
      expectContinue: true,
      body: { kind: 'chunked' },
    });
  });

  test('of CONNECT may say that it has no body', () => {
    const text = request('CONNECT a.example:443 HTTP/1.0', 'Content-Length: 0', 'Host: a.example');
    expect(headIn(text).body).toEqual({ kind: 'none' });
  });

  test('of HTTP/1.0 may leave the host out', () => {
    expect(headIn(request('GET / HTTP/1.0')).host).toBeNull();
    expect(headIn(request('GET http://a.example/ HTTP/1.0')).host).toEqual({ name: 'a.example', port: null });
  });
});

describe('refused is a request whose framing two servers could read differently', () => {
  test('Content-Length that is not one plain decimal number', () => {
    for (const value of ['-1', '+1', '0x10', '010', '1, 1', '1 1', '', '1_0', '9'.repeat(16), '\xb2'])
      refused(post(`Content-Length: ${value}`));
    refused(post('Content-Length: 1', 'content-length: 1'), post('Content-Length: 0', 'Content-Length: 51'));
  });

  test('Transfer-Encoding that is not exactly chunked, or stands beside Content-Length, or in HTTP/1.0', () => {
    for (const value of [
      ',chunked',
      'gzip, chunked',
      'chunked, identity',
      '\xa0chunked',
      'xchunked',
      'Chunked',
      '',
      '"chunked"',
    ])
      refused(post(`Transfer-Encoding: ${value}`));
    refused(post('Transfer-Encoding: chunked', 'Content-Length: 6'));
    refused(post('Content-Length: 6', 'Transfer-Encoding: chunked\t'));
    refused(post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'));
    refused(request('POST / HTTP/1.0', 'Host: a.example', 'Transfer-Encoding: chunked'));
  });

  test('a tab beside a value that frames it, which some take for a part of the value', () => {
    for (const field of ['Transfer-Encoding: chunked', 'Content-Length: 4'])
      refused(post(`${field}\t`), post(`${field} \t `), post(field.replace(' ', '\t')));
    refused(request('GET / HTTP/1.1', 'Host: a.example\t'), request('GET / HTTP/1.1', 'Host:\ta.example'));
    expect(headIn(get('X-A:\tb\t')).headers.at(-1)).toEqual(['X-A', 'b']);
  });

  test('headers that imitate the framing or ask a hop to remove it', () => {
    refused(post('Transfer_Encoding: chunked'), post('Content_Length: 4'));
    refused(post('Connection: content-length', 'Content-Length: 51'), get('Connection: close, Host'));
    refused(post('Connection: transfer-encoding', 'Transfer-Encoding: chunked'));
    refused(get('Connection: ,,Host,'), get('Connection: ,content-length'), get('Connection: close x'));
    refused(get('Connection:\xa0close'), get('Connection: close,\xa0x'), get('Connection: close\xa0, x'));
    refused(post('Expect: y 100-continue'), post('Expect: 100-continue', 'Expect: 100-continue'));
    refused(get('Upgrade: websocket', 'Upgrade: h2c'));
    for (const field of ['Content-Length: 4', 'Content-Length: 00', 'Transfer-Encoding: chunked'])
      refused(request('CONNECT a.example:443 HTTP/1.1', 'Host: a.example', field));
    refused(
      request('CONNECT a.example:443 HTTP/1.1', 'Host: a.example', 'Content-Length: 0', 'Content-Length: 0'),
    );
  });
});

describe('refused is a request whose lines are not HTTP to the letter', () => {
  test('bare LF, bare CR, folding, space before the colon, empty names, control characters', () => {
    refused('GET / HTTP/1.1\nHost: a.example\n\n', 'GET / HTTP/1.1\r\nHost: a.example\n\r\n');
    refused(get('X: a\rHost: b.example'), `${get().slice(0, -2)}\rZ\r\n\r\n`);
    refused(get(' folded'), request('GET / HTTP/1.1', 'Host: a.example', '\t.b.example'));
    refused(
      get('Transfer-Encoding : chunked'),
      get(': x'),
      get('no colon'),
      get('X\0: y'),
      get('X: \0'),
      get('X: \x7f'),
    );
    refused(get('X\xe9: y'));
  });

  test('a first line that is not method, target and version with single spaces', () => {
    for (const line of [
      'get / HTTP/1.1',
      'GET  / HTTP/1.1',
      'GET / HTTP/1.1 ',
      'GET\t/ HTTP/1.1',
      'GET /',
      'GET / HTTP/2.0',
      'GET / HTTP/1.2',
      'GET / http/1.1',
      'GET / HTTP/01.1',
      'PRI * HTTP/2.0',
      'PRI / HTTP/1.1',
      'GET /\xfc HTTP/1.1',
      'GET /\x7f HTTP/1.1',
      '-GET / HTTP/1.1',
      ' GET / HTTP/1.1',
      'EHLO mail.example',
    ])
      refused(request(line, 'Host: a.example'));
    refused('\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
  });

  test('at once, where the first bytes are another protocol', () => {
    for (const start of ['\x16\x03\x01', 'SSH-2', '\n', 'EHLO x\r\n', 'A'.repeat(34)])
      expect(parseRequestHead(octets(start), HEAD_LIMITS).state).toBe('malformed');
  });

  test('too long a head, or too many headers', () => {
    const long = get(`X: ${'y'.repeat(400)}`);
    expect(parse(long, { bytes: long.length, fields: 9 }).state).toBe('value');
    expect(parse(long, { bytes: long.length - 1, fields: 9 }).state).toBe('malformed');
    expect(parse(long.slice(0, 300), { bytes: 300, fields: 9 }).state).toBe('malformed');
    const many = Array.from({ length: 200 }, () => 'a:b');
    expect(parse(get(...many.slice(0, 127))).state).toBe('value');
    refused(get(...many.slice(0, 128)), get(...many, 'Transfer-Encoding: chunked'));
  });
});

describe('refused is a request that does not name one host', () => {
  test('no Host, two Hosts, an empty or malformed one', () => {
    refused(request('GET / HTTP/1.1'), request('GET / HTTP/1.1', 'Host: a.example', 'HOST: a.example'));
    for (const host of [
      '',
      'a.example:',
      'a.example:0',
      'a.example:080',
      'a.example:65536',
      'u@a.example',
      'a.example, b.example',
      'a.example/x',
      'a example',
      '[::1',
      '[fe80::1%eth0]',
      'a%2eexample',
      'a.example#',
      'http://a.example',
      'a\\b',
      'm\xfcnchen.example',
    ])
      refused(request('GET / HTTP/1.1', `Host: ${host}`));
  });

  test('a target that names another host than Host does, or none plainly', () => {
    for (const target of [
      'http://b.example/',
      'http://a.example:8080/',
      'http://a.example@b.example/',
      'http://a.example#@b.example/',
      'http://a.example\\@b.example/',
      'http:///x',
      'http://a.example:/',
      'https://a.example/',
      'ftp://a.example/',
      '//b.example/',
      '/\\b.example/',
      '/x#y',
      'a.example/x',
      '*',
      'a.example:443',
    ])
      refused(request(`GET ${target} HTTP/1.1`, 'Host: a.example'));
    refused(request('CONNECT a.example HTTP/1.1', 'Host: a.example'));
    refused(request('CONNECT a.example:443 HTTP/1.1', 'Host: b.example:443'));
    refused(request('CONNECT a.example:443 HTTP/1.1', 'Host: a.example:80'));
  });
});
