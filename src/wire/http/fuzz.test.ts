/** The HTTP parsers on anything at all, and beside the parser of Node (llhttp). */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { answerOfEverySplit, mutate, octets } from '../feeding.fixture.ts';
import { createBodyReader } from './body.ts';
import { HEAD_LIMITS } from './fields.ts';
import { parseRequestHead } from './head.ts';
import { contentOf, METHODS, readByLlhttp } from './llhttp.fixture.ts';
import { parseResponseHead } from './response.ts';

const SEEDS = [
  'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n',
  'POST /x HTTP/1.1\r\nHost: a.example:80\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello',
  'PUT /x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n',
  'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
].map(octets);
const RESPONSES = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 204\r\nX: y\r\n\r\n',
  'HTTP/1.0 200 Fine\r\nConnection: close\r\n\r\nrest',
].map(octets);

const delimiters = fc.constantFrom(
  ...[...'\r\n\t :,;/0\0\x7f@[]%'].map((character) => character.charCodeAt(0)),
);
const edit = fc.tuple(fc.nat(200), fc.option(fc.oneof(fc.nat(255), delimiters)));
const edits = fc.array(edit, { maxLength: 4 });
const mutated = (seeds: Uint8Array[]) =>
  fc.tuple(fc.constantFrom(...seeds), edits).map(([seed, changes]) => mutate(seed, changes));

const parse = (prefix: Uint8Array, seen: number) => parseRequestHead(prefix, HEAD_LIMITS, seen);

describe('whatever the bytes', () => {
  test('the answer is the same for every split of a request', () => {
    fc.assert(
      fc.property(mutated(SEEDS), (bytes) => void answerOfEverySplit(parse, bytes)),
      { numRuns: 300 },
    );
  });

  test('the answer is the same for every split of a response', () => {
    const parse = (prefix: Uint8Array, seen: number) => parseResponseHead(prefix, 'GET', HEAD_LIMITS, seen);
    fc.assert(
      fc.property(mutated(RESPONSES), (bytes) => void answerOfEverySplit(parse, bytes)),
      { numRuns: 300 },
    );
  });

  test('nothing throws within a second of noise', () => {
    const noise = fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated(SEEDS), mutated(RESPONSES));
    const limits = { interruptAfterTimeLimit: 1_000, numRuns: 1_000_000 };
    fc.assert(
      fc.property(noise, (bytes) => {
        parseRequestHead(bytes, HEAD_LIMITS);
        parseResponseHead(bytes, 'GET', HEAD_LIMITS);
        createBodyReader({ kind: 'chunked' }).push(bytes);
      }),
      limits,
    );
  });

  test('a head that comes a byte at a time is scanned once', () => {
    const bytes = octets(`GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(5_400)}`);
    const start = performance.now();
    for (let length = 1; length < bytes.length; length++)
      expect(parseRequestHead(bytes.subarray(0, length), HEAD_LIMITS, length - 1).state === 'more').toBe(
        true,
      );
    expect(performance.now() - start).toBeLessThan(1_000);
  });
});

/** The requests that Node's parser sees in `bytes`, up to an error. */
function readByNode(bytes: Uint8Array): string[] {
  return readByLlhttp(bytes, 'REQUEST').map(({ method, target, headers, body }) => {
    const host = headers.find(([name]) => name.toLowerCase() === 'host');
    // Before HTTP/1.1 there need not be one; then an absolute target's counts.
    const named = host === undefined ? /^https?:\/\/([^/?#]*)/i.exec(target) : host;
    return `${method} ${target} ${named?.[1] ?? ''} ${body}`;
  });
}

/** The requests that we see in `bytes`, until something is malformed or missing; null if anything is. */
function readByUs(bytes: Uint8Array): string[] | null {
  const requests: string[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    const head = parseRequestHead(rest, HEAD_LIMITS);
    if (head.state !== 'value') return null;
    const { method, target, host, body } = head.value;
    rest = rest.subarray(head.end);
    const content = contentOf(body, rest);
    if (content === null) return null;
    rest = rest.subarray(content.end);
    const port = host?.port == null ? '' : `:${host.port}`;
    requests.push(`${method} ${target} ${host === null ? '' : `${host.name}${port}`} ${content.text}`);
    if (head.value.close) break;
  }
  return requests;
}

test('what we accept, Node accepts, with the same hosts and bodies', () => {
  const twice = mutated(SEEDS.flatMap((a) => SEEDS.map((b) => Uint8Array.from([...a, ...b]))));
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof(twice, mutated(SEEDS)), (bytes) => {
      const ours = readByUs(bytes);
      if (ours === null || !ours.every((request) => METHODS.includes(request.split(' ')[0]!))) return;
      accepted++;
      // An absolute target's host counts for us, Host for Node: that both agree is part of what is tested.
      expect(readByNode(bytes).map(lower)).toEqual(ours.map(lower));
    }),
    { numRuns: 5_000 },
  );
  expect(accepted).toBeGreaterThan(500);
});

const lower = (text: string) => text.toLowerCase();
