/** DNS questions and answers, beside dns-packet. */
import * as packet from 'dns-packet';
import fc from 'fast-check';
import { systemClock } from '../../src/base/clock.ts';
import { createStub } from '../../src/dns/stub.ts';
import { createSyntheticAddresses } from '../../src/dns/synthetic.ts';
import { parseAnswer } from '../../src/wire/dns/lookup.ts';
import { parseQuestion } from '../../src/wire/dns/message.ts';
import { TYPE } from '../../src/wire/dns/type.ts';
import { damaged, same, type Target, target } from './target.ts';

const names = fc.constantFrom(
  'a.example',
  'A.Example',
  'b.a.example',
  'localhost',
  '1.0.18.198.in-addr.arpa',
  'x',
);
const types = fc.constantFrom('A', 'AAAA', 'TXT', 'HTTPS', 'PTR', 'ANY', 'NS', 'SRV', 'CNAME');
const questions = fc
  .record({ name: names, type: types, id: fc.nat(65_535), edns: fc.boolean(), two: fc.boolean() })
  .map(({ name, type, id, edns, two }) => {
    const question = { name, type: type as 'A' };
    const additionals = edns
      ? [{ type: 'OPT' as const, name: '.', udpPayloadSize: 1_232, flags: 0, options: [] }]
      : [];
    const asked = two ? [question, question] : [question];
    return new Uint8Array(
      packet.encode({ type: 'query', id, flags: 256, questions: asked, additionals: additionals as never }),
    );
  });

const ID = 4_711;
const NAME = 'a.example';
const record = fc.oneof(
  fc.record({
    type: fc.constant('A' as const),
    name: names,
    ttl: fc.nat(9),
    data: fc.constantFrom('192.0.2.1', '10.0.0.1'),
  }),
  fc.record({ type: fc.constant('CNAME' as const), name: names, ttl: fc.nat(9), data: names }),
  fc.record({
    type: fc.constant('AAAA' as const),
    name: names,
    ttl: fc.nat(9),
    data: fc.constant('2001:db8::1'),
  }),
);
const answers = fc.array(record, { maxLength: 5 }).map(
  (records) =>
    new Uint8Array(
      packet.encode({
        type: 'response',
        id: ID,
        flags: 0x180,
        questions: [{ name: NAME, type: 'A' }],
        answers: records,
      }),
    ),
);

function decoded(bytes: Uint8Array): packet.DecodedPacket | null {
  try {
    return packet.decode(Buffer.from(bytes));
  } catch {
    return null;
  }
}

const stub = createStub({
  synthetic: createSyntheticAddresses({ clock: systemClock }),
  onQuestion() {},
  onExhausted() {},
});

export const QUESTIONS: readonly Target[] = [
  target('questions, beside dns-packet', damaged(questions, 3), (bytes) => {
    const parsed = parseQuestion(bytes);
    if (parsed.state === 'malformed') return false;
    // Options of EDNS that end too early are nothing to us, and too much for the oracle: it is shown the question alone.
    const alone = Uint8Array.from(bytes, (octet, at) => (at === 10 || at === 11 ? 0 : octet));
    const seen = decoded(alone)?.questions?.[0];
    if (seen === undefined) throw new Error('the oracle reads no question');
    same('the name', parsed.value.name.replace(/\.$/, ''), seen.name.toLowerCase().replace(/^\.$/, ''));
    return true;
  }),
  target('answers of the stub, beside dns-packet', damaged(questions, 3), (bytes) => {
    for (const transport of ['udp', 'tcp'] as const) {
      const reply = stub.answer(bytes, transport);
      if (reply === null) continue;
      const seen = decoded(reply);
      if (seen === null) throw new Error('the oracle cannot read the answer');
      same('the id', seen.id, (bytes[0]! << 8) | bytes[1]!);
      if (transport === 'udp' && reply.length > 4_096)
        throw new Error(`${reply.length} octets in one datagram`);
      for (const each of seen.answers ?? [])
        if (each.type === 'A' && !/^(198\.1[89]\.|127\.0\.0\.1$)/.test(each.data))
          throw new Error(`a real address was given: ${each.data}`);
    }
    return stub.answer(bytes, 'tcp') !== null;
  }),
  target('answers from upstream, beside dns-packet', damaged(answers, 3), (bytes) => {
    const parsed = parseAnswer(bytes, { id: ID, name: NAME, type: TYPE.A });
    if (parsed.state !== 'addresses' || parsed.addresses.length === 0) return false;
    const seen = decoded(bytes);
    // It takes data for as long as they should be, whatever the record says: then it has lost its place.
    if (seen === null || packet.encodingLength(seen) !== bytes.length) return false;
    if (!(seen.answers ?? []).every(({ type }) => ['A', 'AAAA', 'CNAME'].includes(type))) return false;
    const reachable = new Set([NAME]);
    for (let i = 0; i < 20; i++)
      for (const each of seen.answers ?? [])
        if (each.type === 'CNAME' && reachable.has(each.name.toLowerCase()))
          reachable.add(each.data.toLowerCase());
    const theirs = (seen.answers ?? [])
      .filter((each) => each.type === 'A' && reachable.has(each.name.toLowerCase()))
      .map((each) => (each as packet.StringAnswer).data);
    for (const { text } of parsed.addresses)
      if (!theirs.includes(text)) throw new Error(`${text} is no answer`);
    return true;
  }),
];
