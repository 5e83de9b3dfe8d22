import { describe, expect, test } from 'bun:test';
import { answerOfEverySplit, octets } from '../feeding.fixture.ts';
import { HEAD_LIMITS } from './fields.ts';
import { parseResponseHead, type ResponseHead } from './response.ts';

function parse(method: string, ...lines: string[]) {
  const bytes = octets(`${lines.join('\r\n')}\r\n\r\n`);
  return answerOfEverySplit<ResponseHead>(
    (prefix, seen) => parseResponseHead(prefix, method, HEAD_LIMITS, seen),
    bytes,
  );
}
function headIn(method: string, ...lines: string[]): ResponseHead {
  const answer = parse(method, ...lines);
  if (answer.state !== 'value') throw new Error(JSON.stringify(answer));
  return answer.value;
}

describe('a response head', () => {
  test('says status and headers', () => {
    expect(headIn('GET', 'HTTP/1.1 200 OK', 'Content-Length: 5')).toEqual({
      status: 200,
      version: 1,
      phrase: 'OK',
      headers: [['Content-Length', '5']],
      body: { kind: 'length', length: 5 },
      connection: [],
      interim: false,
      upgrade: null,
      close: false,
    });
  });

  test('may leave the reason out, with or without the space', () => {
    expect(headIn('GET', 'HTTP/1.1 404', 'Content-Length: 0').status).toBe(404);
    expect(headIn('GET', 'HTTP/1.1 404 ', 'Content-Length: 0').status).toBe(404);
  });

  test('says how the body ends, given the method', () => {
    const body = (method: string, ...lines: string[]) => headIn(method, ...lines).body.kind;
    expect(body('GET', 'HTTP/1.1 200 OK', 'Transfer-Encoding: chunked')).toBe('chunked');
    expect(body('GET', 'HTTP/1.1 200 OK')).toBe('until-close');
    expect(body('HEAD', 'HTTP/1.1 200 OK', 'Content-Length: 5')).toBe('none');
    expect(body('GET', 'HTTP/1.1 304 Not Modified', 'Content-Length: 5')).toBe('none');
    expect(body('GET', 'HTTP/1.1 204 No Content', 'Content-Length: 0')).toBe('none');
    expect(headIn('GET', 'HTTP/1.1 200 OK').close).toBe(true);
  });

  test('may name its Transfer-Encoding in Connection, in lists with empty elements, as large services do', () => {
    const chunked = ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Connection: keep-alive'];
    expect(headIn('GET', ...chunked, 'Connection: Transfer-Encoding')).toMatchObject({
      body: { kind: 'chunked' },
      connection: ['keep-alive', 'transfer-encoding'],
      close: false,
    });
    const length = ['HTTP/1.1 200 OK', 'Content-Length: 5'];
    expect(headIn('GET', ...length, 'Connection:').close).toBe(false);
    expect(headIn('GET', ...length, 'Connection: close,').close).toBe(true);
  });

  test('may offer protocols more than once, which matters where it changes to one', () => {
    const offering = ['Upgrade: h2', 'Upgrade: H2c', 'Connection: Upgrade'];
    expect(headIn('GET', 'HTTP/1.1 200 OK', 'Content-Length: 5', ...offering).upgrade).toBeNull();
    expect(headIn('GET', 'HTTP/1.1 101 Switching Protocols', ...offering).upgrade).toBe('h2, h2c');
  });

  test('tells interim responses and a change of protocol from final ones', () => {
    expect(headIn('POST', 'HTTP/1.1 100 Continue')).toMatchObject({ interim: true, body: { kind: 'none' } });
    const upgrade = headIn(
      'GET',
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: WebSocket',
      'Connection: upgrade',
    );
    expect(upgrade).toMatchObject({ interim: false, upgrade: 'websocket' });
    expect(headIn('GET', 'HTTP/1.1 101 Switching Protocols').upgrade).toBe('');
  });
});

test('refused is a response that could be framed in two ways, or is none', () => {
  const refused = (...lines: string[]) =>
    expect([lines, parse('GET', ...lines).state]).toEqual([lines, 'malformed']);
  refused('HTTP/1.1 200 OK', 'Content-Length: 5', 'Transfer-Encoding: chunked');
  refused('HTTP/1.1 200 OK', 'Content-Length: 5', 'Content-Length: 6');
  refused('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked');
  refused('HTTP/1.1 204 No Content', 'Content-Length: 5');
  refused('HTTP/1.1 100 Continue', 'Transfer-Encoding: chunked');
  refused('HTTP/1.1 200 OK', 'X : y');
  refused('HTTP/1.1 200 OK', 'Content-Length: 5', 'Connection: content-length');
  refused('HTTP/1.1 200 OK', 'Content-Length: 5', 'Connection: Host');
  refused('HTTP/1.1 200 O\0K');
  for (const line of ['HTTP/2 200 OK', 'HTTP/1.1 20 OK', 'HTTP/1.1  200 OK', 'HTTP/1.1 600 X', 'ICY 200 OK'])
    refused(line);
  expect(parseResponseHead(octets('SSH-2.0-x\r\n'), 'GET', HEAD_LIMITS).state).toBe('malformed');
});
