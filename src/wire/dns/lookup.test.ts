import { describe, expect, test } from 'bun:test';
import { type Answer, decode, encode } from 'dns-packet';
import fc from 'fast-check';
import { mutate } from '../feeding.fixture.ts';
import { type Asked, parseAnswer, writeQuery } from './lookup.ts';
import { TYPE } from './type.ts';

const ASKED: Asked = { id: 4_711, name: 'Api.eXample', type: TYPE.A };

function answer(answers: Answer[], flags = 0, name = ASKED.name, id = ASKED.id): Uint8Array {
  const questions = [{ name, type: 'A' as const }];
  return new Uint8Array(encode({ type: 'response', id, flags, questions, answers }));
}
const a = (name: string, data: string, ttl = 60): Answer => ({ type: 'A', name, data, ttl });
const alias = (name: string, data: string, ttl = 60): Answer => ({ type: 'CNAME', name, data, ttl });
function addresses(...answers: Answer[]) {
  const parsed = parseAnswer(answer(answers), ASKED);
  return parsed.state === 'addresses' ? parsed.addresses.map(({ text }) => text) : parsed.state;
}

test('a query asks one question for recursion, in the letter case given', () => {
  expect(decode(Buffer.from(writeQuery({ ...ASKED, type: TYPE.AAAA })))).toMatchObject({
    id: 4_711,
    type: 'query',
    flag_rd: true,
    questions: [{ name: 'Api.eXample', type: 'AAAA', class: 'IN' }],
  });
});

describe('an answer', () => {
  test('gives every address of the name, and the least TTL', () => {
    const parsed = parseAnswer(
      answer([a('api.example', '192.0.2.1', 60), a('API.example', '192.0.2.2', 9)]),
      ASKED,
    );
    expect(parsed).toMatchObject({ state: 'addresses', ttl: 9 });
    expect(addresses(a('api.example', '192.0.2.1'), a('API.example', '10.0.0.1'))).toEqual([
      '192.0.2.1',
      '10.0.0.1',
    ]);
    expect(addresses()).toEqual([]);
  });

  test('is followed along its aliases, in any order', () => {
    expect(
      addresses(
        a('b.example', '192.0.2.1'),
        alias('c.example', 'B.example'),
        alias('api.example', 'c.example'),
      ),
    ).toEqual(['192.0.2.1']);
    expect(addresses(alias('api.example', 'c.example'))).toEqual([]);
  });

  test('counts only for the name that was asked', () => {
    expect(addresses(a('b.example', '192.0.2.1'), a('api.example', '192.0.2.2'))).toEqual(['192.0.2.2']);
    expect(addresses({ type: 'AAAA', name: 'api.example', data: '2001:db8::1' })).toEqual([]);
    expect(addresses({ type: 'TXT', name: 'api.example', data: '192.0.2.1' })).toEqual([]);
    expect(addresses({ type: 'A', name: 'api.example', data: '192.0.2.1', class: 'CH' })).toEqual([]);
    const additionals = [a('api.example', '192.0.2.66')];
    const bytes = encode({
      type: 'response',
      id: ASKED.id,
      questions: [{ name: ASKED.name, type: 'A' }],
      additionals,
    });
    expect(parseAnswer(new Uint8Array(bytes), ASKED)).toMatchObject({ state: 'addresses', addresses: [] });
  });

  test('is malformed where aliases contradict each other, go round or never end', () => {
    expect(addresses(alias('api.example', 'b.example'), alias('api.example', 'c.example'))).toBe('malformed');
    expect(addresses(alias('api.example', 'b.example'), a('api.example', '192.0.2.1'))).toBe('malformed');
    expect(addresses(alias('api.example', 'b.example'), alias('b.example', 'api.example'))).toBe('malformed');
    const chain = Array.from({ length: 20 }, (_, i) =>
      alias(i === 0 ? 'api.example' : `n${i}.example`, `n${i + 1}.example`),
    );
    expect(addresses(...chain)).toBe('malformed');
  });

  test('says in words why there is none', () => {
    const failure = (rcode: number) => parseAnswer(answer([], rcode), ASKED);
    expect(failure(3)).toEqual({ state: 'failure', detail: 'nxdomain' });
    expect(failure(2)).toEqual({ state: 'failure', detail: 'servfail' });
    expect(failure(9)).toEqual({ state: 'failure', detail: 'rcode 9' });
  });

  test('to somebody else’s question is ignored', () => {
    const good = [a('api.example', '192.0.2.66')];
    const stranger = { state: 'stranger' } as const;
    expect(parseAnswer(answer(good, 0, ASKED.name, 1), ASKED)).toEqual(stranger);
    expect(parseAnswer(answer(good, 0, 'b.example'), ASKED)).toEqual(stranger);
    expect(parseAnswer(answer(good), { ...ASKED, type: TYPE.AAAA })).toEqual(stranger);
    expect(parseAnswer(writeQuery(ASKED), ASKED)).toEqual(stranger);
    expect(parseAnswer(new Uint8Array(5), ASKED)).toEqual(stranger);
  });

  test('that is cut off, or does not repeat the letter case, is asked for again over TCP', () => {
    expect(parseAnswer(answer([], 0x200), ASKED)).toEqual({ state: 'truncated' });
    const recased = answer([a('api.example', '192.0.2.66')], 0, 'api.example');
    expect(parseAnswer(recased, ASKED)).toEqual({ state: 'truncated' });
  });

  test('with pointers that go round or forward is malformed', () => {
    const bytes = answer([a('api.example', '192.0.2.1')]);
    const owner = writeQuery(ASKED).length;
    const pointing = (at: number) =>
      bytes.map((octet, i) => (i === owner ? 0xc0 : i === owner + 1 ? at : octet));
    for (const at of [owner, owner + 2, 250])
      expect(parseAnswer(pointing(at), ASKED).state).toBe('malformed');
    expect(parseAnswer(bytes.slice(0, -1), ASKED).state).toBe('malformed');
  });
});

test('whatever the bytes, it never throws and never finds an address that is not there', () => {
  const seed = answer([
    alias('api.example', 'b.example'),
    a('b.example', '192.0.2.1'),
    a('b.example', '192.0.2.2'),
  ]);
  const edits = fc.array(fc.tuple(fc.nat(120), fc.option(fc.nat(255))), { maxLength: 4 });
  fc.assert(
    fc.property(
      fc.oneof(
        edits.map((changes) => mutate(seed, changes)),
        fc.uint8Array(),
      ),
      (bytes) => {
        const parsed = parseAnswer(bytes, ASKED);
        if (parsed.state !== 'addresses') return;
        const hex = Buffer.from(bytes).toString('hex');
        for (const address of parsed.addresses)
          expect(hex).toContain(Buffer.from(address.bytes).toString('hex'));
      },
    ),
    { numRuns: 1_000_000, interruptAfterTimeLimit: 700 },
  );
});
