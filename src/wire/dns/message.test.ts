import { describe, expect, test } from 'bun:test';
import { decode, encode, type Packet } from 'dns-packet';
import fc from 'fast-check';
import { addressOf } from '../../names/address.ts';
import { mutate } from '../feeding.fixture.ts';
import { parseQuestion, type Question, writeAnswer } from './message.ts';
import { TYPE } from './type.ts';

const ask = (name: string, type = 'A', extra: Partial<Packet> = {}) =>
  new Uint8Array(
    encode({ type: 'query', id: 7, flags: 0x100, questions: [{ name, type: type as 'A' }], ...extra }),
  );
const edns = (udpPayloadSize: number, ednsVersion = 0) =>
  ({
    additionals: [
      { name: '.', type: 'OPT', udpPayloadSize, extendedRcode: 0, ednsVersion, flags: 0, options: [] },
    ],
  }) as unknown as Partial<Packet>;

function questionIn(bytes: Uint8Array): Question {
  const parsed = parseQuestion(bytes);
  if (parsed.state !== 'value') throw new Error(parsed.detail);
  return parsed.value;
}
function refusal(bytes: Uint8Array): string | null {
  const parsed = parseQuestion(bytes);
  if (parsed.state === 'value') throw new Error(`accepted ${parsed.value.name}`);
  if (parsed.reply === null) return null;
  const reply = decode(Buffer.from(parsed.reply));
  expect(reply).toMatchObject({ id: 7, type: 'response', questions: [], answers: [] });
  return (reply as unknown as { rcode: string }).rcode;
}
const withByte = (bytes: Uint8Array, at: number, octet: number) =>
  bytes.map((b, i) => (i === at ? octet : b));

describe('a question', () => {
  test('says name, type and how to answer', () => {
    expect(questionIn(ask('Api.Example.COM', 'AAAA', edns(1_400)))).toMatchObject({
      id: 7,
      name: 'api.example.com',
      type: TYPE.AAAA,
      class: 1,
      recursionDesired: true,
      edns: { udpSize: 1_400, version: 0 },
    });
    expect(questionIn(ask('.', 'NS'))).toMatchObject({ name: '', edns: null });
  });

  test('with any octet that host names do not use is malformed', () => {
    for (const name of ['a.exa mple', 'a.\u00fc.example', 'a.\0.example', 'a.*.example', 'a.\\.example'])
      expect([name, refusal(ask(name))]).toEqual([name, 'FORMERR']);
    const dotInLabel = ask('aXb.example');
    expect(refusal(withByte(dotInLabel, dotInLabel.indexOf(0x58), 0x2e))).toBe('FORMERR');
  });

  test('of another operation is not implemented, and an answer is not answered', () => {
    for (const opcode of [1, 2, 4, 5])
      expect(refusal(withByte(ask('a.example'), 2, (opcode << 3) | 1))).toBe('NOTIMP');
    expect(refusal(withByte(ask('a.example'), 2, 0x81))).toBeNull();
    expect(refusal(ask('a.example').slice(0, 11))).toBeNull();
  });

  test('that is not one question and nothing else is malformed', () => {
    const plain = ask('a.example');
    for (const at of [5, 7, 9]) expect(refusal(withByte(plain, at, 2))).toBe('FORMERR');
    expect(refusal(plain.slice(0, -1))).toBe('FORMERR');
    expect(refusal(Uint8Array.from([...plain, 0]))).toBe('FORMERR');
    expect(refusal(withByte(plain, 11, 1))).toBe('FORMERR');
    const opt = ask('a.example', 'A', edns(1_400));
    expect(refusal(Uint8Array.from([...opt, 0]))).toBe('FORMERR');
    expect(refusal(withByte(plain, 12, 0xc0))).toBe('FORMERR');
    expect(refusal(withByte(plain, 12, 64))).toBe('FORMERR');
    const long = `${'a'.repeat(62)}.`.repeat(4);
    expect(refusal(ask(`${long}aaa`))).toBe('FORMERR');
    expect(questionIn(ask(`${long}a`)).name).toHaveLength(253);
  });
});

describe('an answer', () => {
  const four = addressOf(Uint8Array.of(198, 18, 0, 9));
  const six = addressOf(Uint8Array.from({ length: 16 }, (_, i) => i + 1));

  test('repeats the question in its letter case and gives the addresses', () => {
    for (const [type, address] of [
      ['A', four],
      ['AAAA', six],
    ] as const) {
      const question = questionIn(ask('aPi.Example', type));
      const reply = decode(
        Buffer.from(writeAnswer(question, { rcode: 0, addresses: [address], ttl: 30 }, 'udp')),
      );
      expect(reply).toMatchObject({
        id: 7,
        flag_rd: true,
        flag_ra: true,
        flag_aa: false,
        questions: [{ name: 'aPi.Example', type }],
        answers: [{ name: 'aPi.Example', type, ttl: 30, data: address.text }],
        additionals: [],
      });
    }
  });

  test('names a host, or nothing, or says why not', () => {
    const pointer = questionIn(ask('9.0.18.198.in-addr.arpa', 'PTR'));
    const named = decode(Buffer.from(writeAnswer(pointer, { rcode: 0, ptr: 'api.example', ttl: 5 }, 'udp')));
    expect(named.answers).toMatchObject([{ type: 'PTR', data: 'api.example' }]);
    const refused = decode(
      Buffer.from(writeAnswer(pointer, { rcode: 5, ptr: 'api.example', ttl: 5 }, 'udp')),
    );
    expect(refused).toMatchObject({ rcode: 'REFUSED', answers: [] });
  });

  test('speaks EDNS to whoever does', () => {
    const question = questionIn(ask('a.example', 'A', edns(4_096)));
    const reply = decode(Buffer.from(writeAnswer(question, { rcode: 16, ttl: 0 }, 'udp')));
    expect(reply.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1_232, extendedRcode: 1 }]);
  });

  test('that does not fit the datagram is cut off and says so', () => {
    const addresses = Array(40).fill(four);
    const size = (question: Question, transport: 'udp' | 'tcp') => {
      const reply = decode(Buffer.from(writeAnswer(question, { rcode: 0, addresses, ttl: 5 }, transport)));
      return [reply.flag_tc, reply.answers?.length];
    };
    expect(size(questionIn(ask('a.example')), 'udp')).toEqual([true, 0]);
    expect(size(questionIn(ask('a.example', 'A', edns(100))), 'udp')).toEqual([true, 0]);
    expect(size(questionIn(ask('a.example', 'A', edns(4_096))), 'udp')).toEqual([false, 40]);
    expect(size(questionIn(ask('a.example')), 'tcp')).toEqual([false, 40]);
  });
});

describe('whatever the bytes', () => {
  const names = fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}(\.[a-zA-Z0-9_-]{1,12}){0,5}$/);
  const asked = fc
    .tuple(names, fc.constantFrom('A', 'AAAA', 'TXT', 'PTR', 'HTTPS'), fc.boolean())
    .map(([name, type, withEdns]) => ask(name, type, withEdns ? edns(1_232) : {}));
  const edits = fc.array(fc.tuple(fc.nat(80), fc.option(fc.nat(255))), { maxLength: 3 });

  test('a question that we accept, another reader reads alike, and our answer with it', () => {
    fc.assert(
      fc.property(asked, edits, (seed, changes) => {
        const bytes = mutate(seed, changes);
        const parsed = parseQuestion(bytes);
        if (parsed.state !== 'value') return;
        const theirs = decode(Buffer.from(bytes)).questions?.[0];
        expect(theirs?.name.toLowerCase()).toBe(parsed.value.name === '' ? '.' : parsed.value.name);
        const reply = writeAnswer(parsed.value, { rcode: 0, addresses: [], ttl: 1 }, 'udp');
        expect(decode(Buffer.from(reply)).questions).toEqual([theirs!]);
      }),
      { numRuns: 2_000 },
    );
  });

  test('it never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => void parseQuestion(noise)),
      {
        numRuns: 1_000_000,
        interruptAfterTimeLimit: 500,
      },
    );
  });
});
