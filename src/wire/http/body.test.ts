import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { mutate, octets } from '../feeding.fixture.ts';
import { type Body, type BodyReader, createBodyReader } from './body.ts';

/** The progress after the whole input, cut at the given places, `consumed` counted from its start. */
type BodyProgress = ReturnType<BodyReader['push']>;

function read(body: Body, bytes: Uint8Array, cuts: number[] = []): BodyProgress {
  const reader = createBodyReader(body);
  const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  );
  let at = 0;
  for (const end of ends) {
    const progress = reader.push(bytes.subarray(at, end));
    if (progress.state === 'malformed') return progress;
    if (progress.state === 'done') return { state: 'done', consumed: at + progress.consumed };
    at = end;
  }
  return { state: 'more', consumed: at };
}
const chunked = (text: string) => read({ kind: 'chunked' }, octets(text));

describe('the end of a body is found', () => {
  test('of none, of a known length, and of one that lasts as long as the connection', () => {
    expect(read({ kind: 'none' }, octets('next'))).toEqual({ state: 'done', consumed: 0 });
    expect(read({ kind: 'length', length: 3 }, octets('abcnext'))).toEqual({ state: 'done', consumed: 3 });
    expect(read({ kind: 'length', length: 9 }, octets('abc'))).toEqual({ state: 'more', consumed: 3 });
    expect(read({ kind: 'until-close' }, octets('abc'))).toEqual({ state: 'more', consumed: 3 });
  });

  test('of chunks, with extensions and a trailer, wherever they are cut', () => {
    const text = '5;a="b c"\r\nhello\r\nA\r\n0123456789\r\n00\r\nX-Sum: 1\r\n\r\n';
    const bytes = octets(`${text}GET / HTTP/1.1`);
    for (let cut = 0; cut <= bytes.length; cut++)
      expect(read({ kind: 'chunked' }, bytes, [cut])).toEqual({ state: 'done', consumed: text.length });
    const everywhere = [...bytes.keys()];
    expect(read({ kind: 'chunked' }, bytes, everywhere)).toEqual({ state: 'done', consumed: text.length });
  });
});

test('refused are chunks that two readers could count differently', () => {
  for (const text of [
    '5\r\nhello\n0\r\n\r\n',
    '5\nhello\r\n0\r\n\r\n',
    '0x5\r\nhello\r\n0\r\n\r\n',
    ' 5\r\nhello\r\n0\r\n\r\n',
    '5 \r\nhello\r\n0\r\n\r\n',
    '+5\r\nhello\r\n0\r\n\r\n',
    '\r\n\r\n',
    ';x\r\n',
    '5\r\nhello!\r\n0\r\n\r\n',
    '5\rhello',
    '5;a\nb\r\nhello\r\n0\r\n\r\n',
    '5;a\rb\r\nhello\r\n0\r\n\r\n',
    `5;${'a'.repeat(300)}`,
    '1000000000000\r\n',
    '0\r\n\n',
    '0\r\nX: y\n\r\n',
    '0\r\nX : y\r\n\r\n',
    '0\r\n folded\r\n\r\n',
    '0\r\nHost: b.example\r\n\r\n',
    '0\r\nContent-Length: 4\r\n\r\n',
    '0\r\nTransfer-Encoding: chunked\r\n\r\n',
    `0\r\nX: ${'y'.repeat(8_200)}`,
  ])
    expect([text, chunked(text).state]).toEqual([text, 'malformed']);
});

test('refused at once, before anything after it could be passed on, is what some server takes for a line end', () => {
  for (const text of ['5;a\n', '5;\0', '0\r\nX: y\n', '0\r\nX: y\rz', '0\r\nX: \0', '0\r\n\rz'])
    expect([text, chunked(text).state]).toEqual([text, 'malformed']);
});

test('a refused body stays refused, and one that is done takes nothing more', () => {
  const refused = createBodyReader({ kind: 'chunked' });
  refused.push(octets('x'));
  expect(refused.push(octets('0\r\n\r\n')).state).toBe('malformed');
  const done = createBodyReader({ kind: 'chunked' });
  done.push(octets('0\r\n\r\n'));
  expect(done.push(octets('more'))).toEqual({ state: 'done', consumed: 0 });
});

test('every split of any bytes answers the same', () => {
  const seed = octets('3;x=y\r\nabc\r\n1f\r\n0123456789012345678901234567890\r\n0\r\nX: y\r\n\r\nGET /');
  const edits = fc.array(fc.tuple(fc.nat(99), fc.option(fc.nat(255))), { maxLength: 3 });
  fc.assert(
    fc.property(edits, fc.array(fc.nat(99)), (changes, cuts) => {
      const bytes = mutate(seed, changes);
      expect(read({ kind: 'chunked' }, bytes, cuts)).toEqual(read({ kind: 'chunked' }, bytes));
    }),
    { numRuns: 500 },
  );
});
