/** Any request and any answer, cut anywhere, beside the same without a proxy: Node (llhttp) must see no difference. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { dial } from '../net/dial.ts';
import { forwarding } from './forward.fixture.ts';
import { address, allow, End } from './gateway.fixture.ts';

/** Answers with what it saw; the path says in which way. */
const SERVER = `
const server = require('node:http').createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const { method, url, rawHeaders, rawTrailers } = request;
    const body = Buffer.concat(chunks).toString('latin1');
    const text = Buffer.from(JSON.stringify({ method, url, rawHeaders, rawTrailers, body }), 'latin1');
    response.sendDate = false;
    response.setHeader('Proxy-Authenticate', 'Basic');
    response.setHeader('X-Clawctl-Reason', 'no-rule');
    if (url.startsWith('/length')) response.setHeader('Content-Length', text.length);
    if (url.startsWith('/early')) response.writeEarlyHints({ link: '</x>; rel=preload' });
    if (url.startsWith('/204') || url.startsWith('/304')) response.statusCode = Number(url.slice(1, 4));
    if (url.startsWith('/404')) response.statusMessage = 'Nicht da';
    if (url.startsWith('/chunks') && method !== 'HEAD') {
      response.setHeader('Trailer', 'X-End');
      for (let at = 0; at < text.length; at += 7) response.write(text.subarray(at, at + 7));
      response.addTrailers({ 'X-End': 'yes', 'Set-Cookie': 'no' });
      response.end();
    } else response.end(text);
  });
});
server.keepAliveTimeout = 60000;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

const node = Bun.which('node');
let child: ReturnType<typeof Bun.spawn>;
let port = 0;
beforeAll(async () => {
  if (node === null) return;
  child = Bun.spawn([node, '-e', SERVER], { stdout: 'pipe' });
  const { value } = await (child.stdout as ReadableStream<Uint8Array>).getReader().read();
  port = Number(new TextDecoder().decode(value));
});
afterAll(() => child?.kill());

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9!#$%&'*+.^_|~-]{0,12}$/);
const value = fc.stringMatching(/^[!-~]([\t -~\x80-\xff]{0,20}[!-~])?$/);
const extraField = fc
  .tuple(
    fc.oneof(
      token,
      fc.constantFrom('Cookie', 'Authorization', 'Proxy-Foo', 'TE', 'Keep-Alive', 'X-Clawctl-A'),
    ),
    value,
  )
  .filter(
    ([name]) =>
      !/^(?:connection|content-length|transfer-encoding|host|upgrade|expect|trailer|date)$/i.test(name),
  );
const chunk = fc.string({ maxLength: 40 }).filter((text) => text.length > 0);
const request = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH'),
  path: fc.constantFrom(
    '/',
    '/length',
    '/chunks',
    '/early',
    '/204',
    '/304',
    '/404',
    '/length?a=%0d%0a&b=//c',
  ),
  fields: fc.array(extraField, { maxLength: 6 }),
  body: fc.oneof(
    fc.constant(null),
    fc.string({ maxLength: 100 }),
    fc.record({ chunks: fc.array(chunk, { maxLength: 4 }), trailer: fc.option(fc.tuple(token, value)) }),
  ),
});
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

function written({ method, path, fields, body }: Request, target: string): Buffer {
  const head = [
    `${method} ${target}${path} HTTP/1.1`,
    'Host: good.test',
    ...fields.map(([n, v]) => `${n}: ${v}`),
  ];
  if (typeof body === 'string') head.push(`Content-Length: ${Buffer.from(body).length}`);
  else if (body !== null) head.push('Transfer-Encoding: chunked');
  const start = `${head.join('\r\n')}\r\n\r\n`;
  if (body === null) return Buffer.from(start, 'latin1');
  if (typeof body === 'string') return Buffer.concat([Buffer.from(start, 'latin1'), Buffer.from(body)]);
  const chunks = body.chunks.map((text) => Buffer.from(text));
  const framed = chunks.flatMap((each) => [
    Buffer.from(`${each.length.toString(16)}\r\n`),
    each,
    Buffer.from('\r\n'),
  ]);
  const end = body.trailer === null ? '0\r\n\r\n' : `0\r\n${body.trailer.join(': ')}\r\n\r\n`;
  return Buffer.concat([Buffer.from(start, 'latin1'), ...framed, Buffer.from(end, 'latin1')]);
}

async function connect(to: number): Promise<End> {
  const dialled = await dial([address('127.0.0.1')], to, { timeout: 2_000 });
  if (!dialled.ok) throw new Error(dialled.detail);
  const end = new End();
  end.socket = dialled.socket;
  end.socket.handler = end;
  return end;
}

const finalHead = (text: string) => {
  const at = text.startsWith('HTTP/1.1 103') ? text.indexOf('\r\n\r\n') + 4 : 0;
  const end = text.indexOf('\r\n\r\n', at);
  return end === -1
    ? null
    : { early: text.slice(0, at), lines: text.slice(at, end).split('\r\n'), rest: text.slice(end + 4) };
};

function isWhole(method: string, text: string): boolean {
  const head = finalHead(text);
  if (head === null) return false;
  const length = head.lines.find((line) => /^content-length:/i.test(line));
  if (method === 'HEAD' || /^HTTP\/1.1 [23]04/.test(head.lines[0]!)) return true;
  return length === undefined
    ? /(?:^|\r\n)0\r\n(?:.+\r\n)*\r\n$/.test(head.rest)
    : head.rest.length >= Number(length.slice(15));
}

const HOP = /^(?:connection|keep-alive|te|proxy-.*|x[-_]clawctl[-_].*|transfer-encoding|host)$/i;
const NO_TRAILER = /^set-cookie$/i;

/** What both must agree on; `direct`: the model leaves out what a proxy must not pass. */
function comparable(text: string, direct: boolean) {
  const { early, lines, rest } = finalHead(text)!;
  const body = rest.replace(/\r\nSet-Cookie: no/, direct ? '' : '$&');
  const json = /\{.*\}/s.exec(dechunked(lines, body))?.[0];
  const saw = json === undefined ? null : JSON.parse(json);
  if (saw !== null) {
    const pairs = (raw: string[]) =>
      raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1]] as const] : []));
    saw.rawHeaders = pairs(saw.rawHeaders).filter(
      ([name]) => !(direct && HOP.test(name)) && !/^(?:transfer-encoding|host)$/i.test(name),
    );
    saw.rawTrailers = pairs(saw.rawTrailers).filter(([name]) => !(direct && NO_TRAILER.test(name)));
  }
  const kept = lines.filter((line) => {
    const name = line.slice(0, line.indexOf(':'));
    // What was taken out is missing in the echo, too.
    if (name === 'Content-Length') return false;
    return name === 'Transfer-Encoding' || !(direct && HOP.test(name));
  });
  return { early, lines: kept.sort(), saw };
}

function dechunked(lines: string[], body: string): string {
  if (!lines.some((line) => /^transfer-encoding/i.test(line))) return body;
  let text = '';
  for (let at = 0; ; ) {
    const size = Number.parseInt(body.slice(at), 16);
    if (!(size > 0)) return text;
    const start = body.indexOf('\r\n', at) + 2;
    text += body.slice(start, start + size);
    at = start + size + 2;
  }
}

describe.skipIf(node === null)('Node sees', () => {
  test('what it would see without a proxy, and so does the client', async () => {
    const proxy = forwarding(allow('good.test'), { port });
    const direct = await connect(port);
    let client = await proxy.connect();
    let served = 0;
    await fc.assert(
      fc.asyncProperty(request, fc.array(fc.nat(400), { maxLength: 3 }), async (asked, cuts) => {
        direct.text = '';
        direct.send(written(asked, ''));
        await direct.until(({ text, ending }) => isWhole(asked.method, text) || ending !== null);
        if (!/^HTTP\/1.1 (?:[23]|404)/.test(finalHead(direct.text)?.lines[0] ?? 'HTTP/1.1 103')) return;
        if (client.ended || client.ending !== null) client = await proxy.connect();
        client.text = '';
        const bytes = written(asked, 'http://good.test');
        const places = [...cuts.map((cut) => cut % bytes.length), bytes.length].sort((a, b) => a - b);
        let at = 0;
        for (const place of places) {
          client.send(bytes.subarray(at, place));
          if (place < bytes.length) await new Promise((resolve) => setImmediate(resolve));
          at = place;
        }
        await client.until(({ text, ending }) => isWhole(asked.method, text) || ending !== null);
        expect(comparable(client.text, false)).toEqual(comparable(direct.text, true));
        served++;
      }),
      { numRuns: 400, endOnFailure: true },
    );
    expect(served).toBeGreaterThan(350);
    expect(proxy.bugs).toEqual([]);
    direct.socket.reset();
  }, 60_000);
});
