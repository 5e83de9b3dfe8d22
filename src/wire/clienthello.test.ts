import { describe, expect, test } from 'bun:test';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { readTlsClientHello } from 'read-tls-client-hello';
import {
  alpn,
  extension,
  hello,
  helloBody,
  message,
  nameEntry,
  record,
  records,
  serverName,
  versions,
} from './clienthello.fixture.ts';
import { type ClientHello, parseClientHello } from './clienthello.ts';
import { answerOfEverySplit, mutate, octets } from './feeding.fixture.ts';
import type { Parsed } from './parsed.ts';

const parse = (bytes: Uint8Array) =>
  answerOfEverySplit<ClientHello>((prefix) => parseClientHello(prefix), bytes);
const named = (name: string) => serverName(nameEntry(name));
const rest = [versions(0x0304, 0x0303), extension(10, [0, 2, 0, 0x1d])];

function helloIn(bytes: Uint8Array): ClientHello {
  const answer = parse(bytes);
  if (answer.state !== 'value') throw new Error(JSON.stringify(answer));
  return answer.value;
}
const refused = (bytes: Uint8Array | number[]) =>
  expect(parse(Uint8Array.from(bytes)).state).toBe('malformed');

describe('a ClientHello', () => {
  test('says its server name, protocols and versions', () => {
    const bytes = records(hello(named('api.example.com'), ...rest, alpn('h2', 'http/1.1')));
    expect(parse(bytes)).toEqual({
      state: 'value',
      end: bytes.length,
      value: {
        serverName: 'api.example.com',
        encrypted: false,
        alpn: ['h2', 'http/1.1'],
        versions: [0x0304, 0x0303],
      },
    });
  });

  test('without extensions names nobody and offers its legacy version', () => {
    const { serverName, versions } = helloIn(records(message(1, helloBody(null))));
    expect(serverName).toBeNull();
    expect(versions).toEqual([0x0303]);
  });

  test('is read whole, wherever the name stands and however its records are cut', () => {
    for (const size of [0, 1500, 17_000, 60_000]) {
      const handshake = hello(...rest, extension(21, Array(size).fill(0)), named('late.example.com'));
      const answer = parseClientHello(records(handshake, 3, 40, handshake.length - 4));
      expect(answer.state === 'value' && answer.value.serverName).toBe('late.example.com');
    }
  });

  test('may come in up to 64 records and no more', () => {
    const handshake = hello(named('a.example'), ...rest);
    const cuts = (count: number) => Array.from({ length: count - 1 }, (_, i) => i + 1);
    expect(parse(records(handshake, ...cuts(64))).state).toBe('value');
    refused(records(handshake, ...cuts(65)));
  });

  test('leaves what follows its last record alone', () => {
    const first = records(hello(named('a.example')));
    const answer = parseClientHello(Uint8Array.from([...first, ...records(hello(named('b.example')))]));
    expect(answer).toMatchObject({ state: 'value', end: first.length, value: { serverName: 'a.example' } });
  });

  test('reports encryption, its drafts and its imitations by browsers alike', () => {
    for (const type of [0xfe0d, 0xfe0a, 0xffce])
      expect(
        helloIn(records(hello(named('outer.example'), extension(type, Array(64).fill(5))))).encrypted,
      ).toBe(true);
  });

  test('has the name checked for form only, not for what it means', () => {
    for (const name of ['A.Example.', '*.example', '169.254.169.254', 'a_b.example'])
      expect(helloIn(records(hello(named(name)))).serverName).toBe(name);
  });
});

describe('refused is a ClientHello', () => {
  test('with two names, two server_name extensions or any extension twice', () => {
    refused(records(hello(serverName(nameEntry('a.example'), nameEntry('b.example')))));
    refused(records(hello(named('a.example'), named('b.example'))));
    refused(records(hello(named('a.example'), ...rest, alpn('h2'), alpn('h2'))));
  });

  test('whose name is empty, of another type, too long or not visible ASCII', () => {
    refused(records(hello(named(''))));
    refused(records(hello(serverName())));
    refused(records(hello(extension(0, []))));
    refused(records(hello(extension(0, [...named('a.example').slice(4), 0]))));
    refused(records(hello(serverName(nameEntry('a.example', 1)))));
    refused(records(hello(named('a'.repeat(256)))));
    for (const octet of ['\0', '\r', '\n', ' ', '\x7f', '\x80', '\xe3'])
      refused(records(hello(named(`a.example${octet}.b.example`))));
  });

  test('whose lengths do not add up', () => {
    const body = helloBody([named('a.example'), ...rest]);
    refused(records(message(1, body, 20)));
    refused(records(message(1, [...body, 0])));
    refused(records(message(1, body.slice(0, -1))));
    for (const at of [34, 67, 68, 75, 77, 78, 81, 82]) {
      const broken = [...body];
      broken[at] = (broken[at] ?? 0) + 1;
      expect([at, parse(records(message(1, broken))).state]).toEqual([at, 'malformed']);
    }
  });

  test('longer than 64 KiB, at the first octets', () => {
    refused(record([1, 1, 0, 1]).slice(0, 9));
  });

  test('with more after it in the same record', () => {
    refused(record([...hello(named('a.example')), ...hello(named('b.example'))]));
  });

  test('behind any other record, an empty record or an over-long one', () => {
    const first = [...records(hello(named('a.example')))];
    refused([...record([2, 0], 21), ...first]);
    refused([...record([1], 20), ...first]);
    refused([...record([]), ...first]);
    refused([22, 3, 1, 0x40, 0x01]);
    refused(record(hello(named('a.example')), 22, 0x0505));
  });

  test('that is none: another message, SSLv2, HTTP, SSH, from the first octet that shows it', () => {
    refused(records(message(2, helloBody([named('a.example')]))));
    for (const start of ['\x80\x2e\x01', 'GET / HTTP/1.1', 'SSH-2.0-OpenSSH', '\x16\x02'])
      refused(octets(start));
  });
});

describe('the ClientHello after a HelloRetryRequest', () => {
  const second = [...records(hello(named('b.example')))];
  const retry = (bytes: number[]) =>
    answerOfEverySplit((prefix) => parseClientHello(prefix, { afterRetry: true }), Uint8Array.from(bytes));

  test('may come behind skipped early data and one change of cipher', () => {
    const before = [...record(Array(300).fill(1), 23), ...record([1], 20)];
    expect(retry([...before, ...second])).toMatchObject({
      state: 'value',
      end: before.length + second.length,
      value: { serverName: 'b.example' },
    });
    expect(retry(second).state).toBe('value');
  });

  test('may not come behind anything else, nor be interrupted', () => {
    expect(retry([...record([2], 20), ...second]).state).toBe('malformed');
    expect(retry([...record([1, 1], 20), ...second]).state).toBe('malformed');
    expect(retry([...record([2, 0], 21), ...second]).state).toBe('malformed');
    const handshake = hello(named('b.example'));
    const cut = [...record(handshake.slice(0, 9)), ...record([1], 20), ...record(handshake.slice(9))];
    expect(retry(cut).state).toBe('malformed');
  });
});

const hosts = fc.stringMatching(/^[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){0,4}$/);
const hellos = fc
  .record({ host: fc.option(hosts), alpn: fc.boolean(), cuts: fc.array(fc.nat(150), { maxLength: 5 }) })
  .map(({ host, alpn: withAlpn, cuts }) =>
    records(
      hello(...(host === null ? [] : [named(host)]), ...rest, ...(withAlpn ? [alpn('h2')] : [])),
      ...cuts,
    ),
  );
const changes = fc.array(fc.tuple(fc.nat(400), fc.option(fc.nat(255))), { maxLength: 4 });

/** The server name by another reader, which takes one record only; null if it refuses. */
async function nameByOracle(bytes: Uint8Array): Promise<string | undefined | null> {
  try {
    const read = await readTlsClientHello(Readable.from([Buffer.from(bytes)], { objectMode: false }));
    const data = read.extensions.find(({ id }) => id === 0)?.data as { serverName?: string } | undefined;
    return data?.serverName;
  } catch {
    return null;
  }
}

describe('whatever the bytes', () => {
  test('the answer is the same for every split', () => {
    fc.assert(
      fc.property(hellos, changes, (bytes, edits) => void parse(mutate(bytes, edits))),
      { numRuns: 150 },
    );
  });

  test('nothing throws within a second of noise', () => {
    const inside = fc.uint8Array({ maxLength: 300 }).map((noise) => records(message(1, [...noise])));
    const mutated = fc.tuple(hellos, changes).map(([bytes, edits]) => mutate(bytes, edits));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), inside, mutated), (bytes) => {
        parseClientHello(bytes);
        parseClientHello(bytes, { afterRetry: true });
      }),
      { numRuns: 1_000_000, interruptAfterTimeLimit: 1_000 },
    );
  });

  test('what it accepts, another reader reads with the same name', async () => {
    await fc.assert(
      fc.asyncProperty(hellos, changes, async (bytes, edits) => {
        const input = mutate(bytes, edits);
        const answer: Parsed<ClientHello> = parseClientHello(input);
        if (answer.state !== 'value' || 5 + ((input[3]! << 8) | input[4]!) !== answer.end) return;
        expect((await nameByOracle(input.slice(0, answer.end))) ?? null).toBe(answer.value.serverName);
      }),
      { numRuns: 500 },
    );
  });

  test('a peer that sends a byte at a time costs little', () => {
    const handshake = hello(named('a.example'), extension(21, Array(60_000).fill(0)));
    const bytes = records(handshake, ...Array.from({ length: 50 }, (_, i) => i + 1));
    const start = performance.now();
    for (let length = 1; length < bytes.length; length++)
      expect(parseClientHello(bytes.subarray(0, length)).state === 'more').toBe(true);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});
