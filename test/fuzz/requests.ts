/** HTTP messages, beside llhttp, the parser of Node. What we accept, it must read as we do. */
import fc from 'fast-check';
import { answerOfEverySplit, octets } from '../../src/wire/feeding.fixture.ts';
import { createBodyReader } from '../../src/wire/http/body.ts';
import { HEAD_LIMITS } from '../../src/wire/http/fields.ts';
import { parseRequestHead } from '../../src/wire/http/head.ts';
import { contentOf, METHODS, readByLlhttp } from '../../src/wire/http/llhttp.fixture.ts';
import { parseResponseHead } from '../../src/wire/http/response.ts';
import { damaged, same, type Target, target, words } from './target.ts';

const pick = (...texts: string[]) => fc.constantFrom(...texts);
const mostly = (usual: string, ...odd: string[]) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: pick(usual, ...odd) });

const eol = mostly('\r\n', '\n', '\r', '\r\r\n', '\r\n ', '');
const name = pick(
  ...[
    'Host',
    'host',
    'Content-Length',
    'Transfer-Encoding',
    'Connection',
    'X-A',
    'Upgrade',
    'Expect',
    'Trailer',
    'TE',
  ],
  ...[
    'Proxy-Authorization',
    '__proto__',
    'Content-Length ',
    ' Host',
    'Transfer\tEncoding',
    'Via',
    'Content-length',
  ],
);
const value = pick(
  ...[
    'a.example',
    'b.example',
    '0',
    '5',
    '05',
    '+5',
    '5, 5',
    'chunked',
    'Chunked',
    'gzip, chunked',
    'close',
    'keep-alive',
    'upgrade',
  ],
  ...[
    'websocket',
    '100-continue',
    '',
    'x\ty',
    '\x80',
    'a.example:80',
    '[::1]:80',
    'transfer-encoding',
    'x'.repeat(200),
  ],
);
const field = words(name, mostly(': ', ':', ' : ', ':\t'), value, mostly('', ' ', '\t'), eol);
const fields = fc.array(field, { maxLength: 4 }).map((each) => each.join(''));
const body = pick(
  '',
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n',
  '5\nhello\n0\n\n',
  '0\r\n\r\n',
  '0',
);
const request = words(
  mostly('GET', 'POST', 'HEAD', 'PUT', 'OPTIONS', 'get', 'PRI', 'CONNECT'),
  mostly(' ', '  ', '\t'),
  pick(
    '/',
    '/x?y',
    'http://a.example/',
    'http://a.example',
    '*',
    'a.example:80',
    '//b.example/',
    'https://a.example/',
    '/\x80',
  ),
  mostly(' HTTP/1.1', ' HTTP/1.0', ' HTTP/2.0', '', ' HTTP/1.1 '),
  eol,
  mostly('Host: a.example\r\n', '', 'Host: b.example\r\nHost: a.example\r\n'),
  fields,
  eol,
  body,
);
const response = words(
  mostly('HTTP/1.1', 'HTTP/1.0', 'HTTP/2', 'http/1.1'),
  mostly(' ', '  ', '\t'),
  pick(
    '200 OK',
    '204',
    '304 Not Modified',
    '100 Continue',
    '101 Switching Protocols',
    '99',
    '600',
    '2000 X',
    '200',
  ),
  eol,
  fields,
  eol,
  body,
);
const many = (one: fc.Arbitrary<string>) =>
  damaged(
    fc.array(one, { minLength: 1, maxLength: 3 }).map((each) => octets(each.join(''))),
    2,
  );

/** One line a message: its first line, and its body. */
function readByNode(bytes: Uint8Array, kind: 'REQUEST' | 'RESPONSE'): string[] {
  return readByLlhttp(bytes, kind).map(
    ({ method, target, status, body }) => `${kind === 'REQUEST' ? `${method} ${target}` : status} ${body}`,
  );
}

/** The messages before whatever is malformed, unfinished, or the end of what Node would read as messages. */
function readByUs(bytes: Uint8Array): string[] {
  const found: string[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const head = parseRequestHead(rest, HEAD_LIMITS);
    if (head.state !== 'value') break;
    const content = contentOf(head.value.body, rest.subarray(head.end));
    if (content === null) break;
    found.push(`${head.value.method} ${head.value.target} ${content.text}`);
    if (head.value.close || head.value.upgrade !== null || head.value.method === 'CONNECT') break;
    rest = rest.subarray(head.end + content.end);
  }
  return found;
}

export const REQUESTS: readonly Target[] = [
  target('requests, beside llhttp', many(request), (bytes) => {
    const ours = readByUs(bytes);
    if (ours.length === 0 || !ours.every((each) => METHODS.includes(each.split(' ')[0]!))) return false;
    same('the requests', ours, readByNode(bytes, 'REQUEST').slice(0, ours.length));
    return true;
  }),
  target('requests, cut anywhere', many(request), (bytes) => {
    const answer = answerOfEverySplit((prefix, seen) => parseRequestHead(prefix, HEAD_LIMITS, seen), bytes);
    return answer.state === 'value';
  }),
  target('responses, beside llhttp', many(response), (bytes) => {
    const head = parseResponseHead(bytes, 'GET', HEAD_LIMITS);
    if (head.state !== 'value' || head.value.status === 101) return false;
    const content = contentOf(head.value.body, bytes.subarray(head.end));
    if (content === null) return false;
    const seen = readByNode(bytes, 'RESPONSE')[0];
    // A body that ends with the connection has no end that could be compared.
    if (head.value.body.kind === 'length' || head.value.body.kind === 'chunked')
      same('the response', `${head.value.status} ${content.text}`, seen);
    return true;
  }),
  target('responses, cut anywhere', many(response), (bytes) => {
    const answer = answerOfEverySplit(
      (prefix, seen) => parseResponseHead(prefix, 'GET', HEAD_LIMITS, seen),
      bytes,
    );
    return answer.state === 'value';
  }),
  target(
    'chunks, cut anywhere',
    damaged(fc.array(body, { maxLength: 4 }).map((each) => octets(each.join('')))),
    (bytes) => {
      const read = (cuts: number[]) => {
        const reader = createBodyReader({ kind: 'chunked' });
        let consumed = 0;
        let at = 0;
        for (const end of [...cuts, bytes.length]) {
          const progress = reader.push(bytes.subarray(at, end));
          at = end;
          if (progress.state === 'malformed') return 'malformed';
          consumed += progress.consumed;
          if (progress.state === 'done') return consumed;
        }
        return 'more';
      };
      const whole = read([]);
      same(
        'the end of the body',
        read(Array.from({ length: Math.max(0, bytes.length - 1) }, (_, i) => i + 1)),
        whole,
      );
      return typeof whole === 'number';
    },
  ),
];
