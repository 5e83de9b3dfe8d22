/** A name server that lies or stammers: what it says beside the answer leads nowhere, and what cannot be read is none. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { createSocket, type Socket } from 'node:dgram';
import * as packet from 'dns-packet';
import { inRig } from '../rig/world.ts';
import { Client } from './client.ts';
import { helloTo } from './clienthello.ts';
import { policyText } from './policytext.ts';
import { caseOf } from './scope.ts';
import { EVIL_ADDRESS, GOOD_ADDRESS, openStand, type Stand } from './stand.ts';
import { createSubject, type Subject } from './subject.ts';

const SERVER = '127.0.0.54';
type Question = packet.DecodedPacket;
/** What is sent back, in this order, a little apart. */
type Lie = (question: Question) => (Buffer | { fromElsewhere: Buffer })[];

const answerTo = (question: Question, change: Partial<packet.Packet> = {}): Buffer =>
  packet.encode({
    type: 'response',
    id: question.id ?? 0,
    flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE,
    questions: question.questions ?? [],
    answers: [],
    ...change,
  });
const nameOf = (question: Question) => question.questions![0]!.name;
const isA = (question: Question) => question.questions![0]!.type === 'A';
const address = (name: string, data: string) => ({ type: 'A' as const, name, ttl: 60, data });
const good = (question: Question) =>
  answerTo(question, { answers: isA(question) ? [address(nameOf(question), GOOD_ADDRESS)] : [] });
const evil = (question: Question, name = nameOf(question)) => [address(name, EVIL_ADDRESS)];

/** The right answer comes too: it, and nothing else, may be believed. */
const SPOOFED: Record<string, Lie> = {
  'another id': (q) => [answerTo(q, { id: (q.id! + 1) & 0xffff, answers: evil(q) }), good(q)],
  'another port': (q) => [{ fromElsewhere: answerTo(q, { answers: evil(q) }) }, good(q)],
  'another name': (q) => [
    answerTo(q, { questions: [{ type: 'A', name: 'other.test' }], answers: evil(q) }),
    good(q),
  ],
  'another type': (q) => [
    answerTo(q, { questions: [{ type: 'TXT', name: nameOf(q) }], answers: evil(q) }),
    good(q),
  ],
  'no question': (q) => [answerTo(q, { questions: [], answers: evil(q) }), good(q)],
  'a question in place of an answer': (q) => [answerTo(q, { type: 'query', answers: evil(q) }), good(q)],
};
const BESIDE: Record<string, Lie> = {
  'an address of another name': (q) => [
    answerTo(q, { answers: [...evil(q, 'evil.test'), address(nameOf(q), GOOD_ADDRESS)] }),
  ],
  'addresses in other sections': (q) => [
    answerTo(q, {
      answers: [address(nameOf(q), GOOD_ADDRESS)],
      authorities: evil(q) as never,
      additionals: [...evil(q), ...evil(q, 'evil.test')],
    }),
  ],
  'an alias and its address, and another': (q) => [
    answerTo(q, {
      answers: [
        { type: 'CNAME', name: nameOf(q), ttl: 60, data: 'there.test' },
        address('there.test', GOOD_ADDRESS),
        ...evil(q, 'elsewhere.test'),
      ],
    }),
  ],
};

const whole = (q: Question) => answerTo(q, { answers: [address(nameOf(q), GOOD_ADDRESS)] });
const patched = (bytes: Buffer, at: number, value: number) => {
  bytes[at < 0 ? bytes.length + at : at] = value;
  return bytes;
};
const UNREADABLE: Record<string, Lie> = {
  nothing: () => [],
  'no octet': () => [Buffer.alloc(0)],
  'half a header': (q) => [whole(q).subarray(0, 6)],
  'a cut record': (q) => [whole(q).subarray(0, -3)],
  'a record longer than the message': (q) => [patched(whole(q), -5, 200)],
  'a name that points at itself': (q) => [patched(patched(whole(q), 12, 0xc0), 13, 12)],
  'more answers than there are': (q) => [patched(whole(q), 7, 200)],
  noise: (q) => [Buffer.concat([whole(q).subarray(0, 4), Buffer.alloc(500, 0xc3)])],
  'sixty thousand octets': (q) => [Buffer.concat([whole(q).subarray(0, 20), Buffer.alloc(60_000, 7)])],
  'an alias of itself': (q) => [
    answerTo(q, { answers: [{ type: 'CNAME', name: nameOf(q), ttl: 60, data: nameOf(q) }] }),
  ],
  'only hints': (q) => [
    answerTo(q, {
      answers: [{ type: 'TXT', name: nameOf(q), ttl: 60, data: `1 allowed.test ipv4hint=${EVIL_ADDRESS}` }],
    }),
  ],
  'a server failure': (q) => [answerTo(q, { flags: packet.RECURSION_AVAILABLE | 2, answers: evil(q) })],
};

describe.skipIf(!inRig)('an upstream name server that says', () => {
  let stand: Stand;
  let subject: Subject;
  let server: Socket;
  let elsewhere: Socket;
  let lie: Lie = () => [];
  beforeAll(async () => {
    stand = await openStand();
    subject = await createSubject(SERVER);
    elsewhere = createSocket('udp4');
    server = createSocket('udp4');
    server.on('message', async (bytes, { port, address }) => {
      for (const reply of lie(packet.decode(bytes))) {
        if ('fromElsewhere' in reply) elsewhere.send(reply.fromElsewhere, port, address);
        else server.send(reply, port, address);
        await Bun.sleep(2);
      }
    });
    await new Promise<void>((ready) => server.bind(53, SERVER, ready));
    await new Promise<void>((ready) => elsewhere.bind(0, SERVER, ready));
  });
  afterEach(() => stand.forget());
  afterAll(async () => {
    await subject.close();
    server.close();
    elsewhere.close();
    stand.close();
  });

  /** A connection to a name that was never looked up before. */
  let count = 0;
  async function connect(): Promise<string> {
    const name = `n${count++}.allowed.test`;
    subject.load(policyText({ allow: ['*.allowed.test'] }));
    const port = subject.transparentPort({ address: GOOD_ADDRESS, port: 443, name });
    const client = new Client(port);
    client.say(helloTo(name));
    await client.until((heard) => heard.length > 0, 300);
    client.leave();
    return client.heard;
  }

  for (const [title, what] of Object.entries({ ...SPOOFED, ...BESIDE }))
    test(`${title} beside the truth is believed no word`, async () => {
      lie = what;
      const heard = await connect();
      expect(stand.sink.arrivals).toEqual([]);
      expect(heard).toContain('heard');
    });

  test('what cannot be read is not believed, and the gateway goes on', async () => {
    for (const [title, what] of Object.entries(UNREADABLE)) {
      lie = what;
      const heard = await connect();
      expect([title, heard, stand.sink.arrivals]).toEqual([title, '', []]);
    }
    lie = (question) => [good(question)];
    expect(await connect()).toContain('heard');
  });

  test('the cases are these', () => {
    for (const id of ['DNS-047', 'DNS-048', 'DNS-049', 'DNS-050'])
      expect(caseOf(id).title).toMatch(/upstream|additional|hint/i);
  });
});
