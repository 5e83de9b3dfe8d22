import { describe, expect, test } from 'bun:test';
import { type DecodedPacket, decode, encode, type Packet } from 'dns-packet';
import { systemClock } from '../base/clock.ts';
import { createStub } from './stub.ts';
import { createSyntheticAddresses } from './synthetic.ts';

function setup(capacity = 100) {
  const asked: string[] = [];
  let exhausted = 0;
  const synthetic = createSyntheticAddresses({ clock: systemClock, capacity });
  const stub = createStub({
    synthetic,
    onQuestion: (name, type) => asked.push(`${type} ${name}`),
    onExhausted: () => exhausted++,
  });
  const ask = (name: string, type = 'A', extra: Partial<Packet> = {}) => {
    const message = encode({
      type: 'query',
      id: 9,
      flags: 0x100,
      questions: [{ name, type: type as 'A' }],
      ...extra,
    });
    return decode(Buffer.from(stub.answer(new Uint8Array(message), 'udp')!)) as DecodedPacket & {
      rcode: string;
    };
  };
  const dataOf = (name: string, type = 'A') =>
    ask(name, type).answers!.map((answer) => (answer as { data: unknown }).data);
  return { stub, synthetic, asked, ask, dataOf, exhausted: () => exhausted };
}

describe('inside the fence', () => {
  test('every well-formed name has an address of either family, allowed or not', () => {
    const { ask, asked, dataOf } = setup();
    expect(ask('aPi.Example')).toMatchObject({
      rcode: 'NOERROR',
      questions: [{ name: 'aPi.Example' }],
      answers: [{ name: 'aPi.Example', ttl: 30, data: '198.18.0.1' }],
    });
    expect(dataOf('api.example.', 'AAAA')).toEqual(['fd99:992b:5808:9a9d::1']);
    expect(dataOf('_x.a_b.example')).toEqual(['198.18.0.2']);
    expect(dataOf('clawctl.internal')).toEqual(['198.18.0.3']);
    expect(asked).toEqual(['A api.example', 'AAAA api.example', 'A _x.a_b.example', 'A clawctl.internal']);
  });

  test('no name has keys for an encrypted ClientHello or hints at other addresses', () => {
    const { stub } = setup();
    for (const type of [64, 65]) {
      const message = encode({ type: 'query', id: 9, questions: [{ name: 'a.example', type: 'A' }] });
      message.writeUInt16BE(type, message.length - 4);
      const reply = stub.answer(new Uint8Array(message), 'udp')!;
      expect(reply[3]! & 15).toBe(0);
      expect(Buffer.from(reply).readUInt16BE(6)).toBe(0);
    }
  });

  test('localhost is the fence itself', () => {
    const { dataOf } = setup();
    expect(dataOf('localhost')).toEqual(['127.0.0.1']);
    expect(dataOf('x.LOCALHOST', 'AAAA')).toEqual(['::1']);
    expect(dataOf('notlocalhost')).toEqual(['198.18.0.1']);
  });

  test('a synthetic address has its name, other addresses are nobody’s business', () => {
    const { ask, dataOf } = setup();
    ask('a.example');
    expect(dataOf('1.0.18.198.in-addr.arpa', 'PTR')).toEqual(['a.example']);
    const nibbles = `1${'.0'.repeat(15)}.${[...'fd99992b58089a9d'].reverse().join('.')}.ip6.arpa`;
    expect(dataOf(nibbles, 'PTR')).toEqual(['a.example']);
    expect(ask('2.0.18.198.in-addr.arpa', 'PTR').rcode).toBe('NXDOMAIN');
    for (const name of [
      '1.0.0.10.in-addr.arpa',
      'a.example',
      '18.198.in-addr.arpa',
      '01.0.18.198.in-addr.arpa',
    ])
      expect(ask(name, 'PTR').rcode).toBe('REFUSED');
  });

  test('everything else is refused: other types, other classes, the root, names that look like addresses', () => {
    const { ask } = setup();
    for (const type of ['TXT', 'MX', 'NS', 'SRV', 'NAPTR', 'NULL', 'CNAME', 'SOA', 'ANY', 'AXFR'])
      expect([type, ask('a.example', type).rcode]).toEqual([type, 'REFUSED']);
    for (const name of [
      '.',
      '1.2.3.4',
      '127.1',
      '0x7f.1',
      '2130706433',
      '-a.example',
      'a-.example',
      'xn--a.example',
    ])
      expect([name, ask(name).rcode]).toEqual([name, 'REFUSED']);
    const chaos = { questions: [{ name: 'a.example', type: 'A', class: 'CH' }] } as Partial<Packet>;
    expect(ask('', 'A', chaos).rcode).toBe('REFUSED');
  });

  test('what no host has as a name is told by its end', () => {
    const { ask, asked } = setup();
    for (const name of ['AAAA.=auth.t.example.com', '-a.example', '1.2.3.4', 'a b.c d', 'xn--a.example'])
      ask(name, 'TXT');
    expect(asked).toEqual([
      'TXT (?.t.example.com)',
      'TXT (?.example)',
      'TXT (other)',
      'TXT (other)',
      'TXT (?.example)',
    ]);
  });

  test('what is refused for its form is told, too', () => {
    const { asked, stub } = setup();
    const query = Buffer.from('0001010000010000000000000161076578616d706c650000010001', 'hex'); // a.example A IN
    const changed = (...changes: (readonly [at: number, octet: number])[]) => {
      const message = Buffer.from(query);
      for (const [at, octet] of changes) message[at] = octet;
      return message;
    };
    const forms = [
      changed([26, 3]), // class CH
      changed([2, 0x21]), // NOTIFY
      changed([5, 2]), // two questions
      changed([11, 1]), // an additional record that is not there
      Buffer.concat([query, Buffer.from('more')]),
    ];
    for (const form of forms) expect(stub.answer(form, 'udp')).not.toBeNull();
    expect(asked).toEqual(forms.map(() => 'A a.example'));
    expect(stub.answer(changed([2, 0x81]), 'udp')).toBeNull(); // an answer
    expect(stub.answer(changed([5, 0]), 'udp')).not.toBeNull();
    expect(asked.length).toBe(forms.length);
  });

  test('newer EDNS is answered as such, and what is malformed as malformed', () => {
    const { ask, stub } = setup();
    const opt = {
      name: '.',
      type: 'OPT',
      udpPayloadSize: 1_232,
      extendedRcode: 0,
      ednsVersion: 1,
      flags: 0,
      options: [],
    };
    expect(
      ask('a.example', 'A', { additionals: [opt] } as unknown as Partial<Packet>).additionals,
    ).toMatchObject([{ extendedRcode: 1 }]);
    expect(ask('a b.example').rcode).toBe('FORMERR');
    expect(stub.answer(new Uint8Array(4), 'udp')).toBeNull();
  });

  test('with no address left a lookup fails for now, and that is told', () => {
    const { ask, exhausted } = setup(1);
    expect([ask('a.example').rcode, exhausted()]).toEqual(['NOERROR', 0]);
    expect([ask('b.example').rcode, exhausted()]).toEqual(['SERVFAIL', 1]);
    expect(ask('a.example').rcode).toBe('NOERROR');
  });
});
