import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { addressOf } from '../names/address.ts';
import { answerOfEverySplit, mutate, octets } from './feeding.fixture.ts';
import { parseSocksCredentials, parseSocksGreeting, parseSocksRequest } from './socks5.ts';

const bytes = (...parts: (number | string)[]) =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === 'string' ? [...octets(part)] : [part])));
const greeting = (input: Uint8Array) => answerOfEverySplit((prefix) => parseSocksGreeting(prefix), input);
const credentials = (input: Uint8Array) =>
  answerOfEverySplit((prefix) => parseSocksCredentials(prefix), input);
const request = (input: Uint8Array) => answerOfEverySplit((prefix) => parseSocksRequest(prefix), input);

const latin1 = (minimum: number) =>
  fc.uint8Array({ minLength: minimum, maxLength: 255 }).map((list) => Buffer.from(list).toString('latin1'));

describe('a SOCKS5 greeting', () => {
  test('lists methods, and ends where they end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 255 }), fc.uint8Array(), (methods, after) => {
        expect(greeting(bytes(5, methods.length, ...methods, ...after))).toEqual({
          state: 'value',
          value: methods,
          end: 2 + methods.length,
        });
      }),
      { numRuns: 50 },
    );
  });
  for (const [what, input] of [
    ['of version 4', bytes(4, 1, 0)],
    ['of HTTP', bytes('GET / HTTP/1.1\r\n')],
    ['without a method', bytes(5, 0)],
  ] as const)
    test(`${what} is malformed`, () => expect(greeting(input).state).toBe('malformed'));
});

describe('SOCKS5 credentials', () => {
  test('are a user of 1 to 255 octets and a password, perhaps an empty one', () => {
    fc.assert(
      fc.property(latin1(1), latin1(0), fc.uint8Array(), (user, password, after) => {
        const input = bytes(1, user.length, user, password.length, password, ...after);
        const end = 3 + user.length + password.length;
        expect(credentials(input)).toEqual({ state: 'value', value: { user, password }, end });
      }),
      { numRuns: 50 },
    );
  });
  for (const [what, input] of [
    ['of version 5', bytes(5, 1, 'a', 1, 'b')],
    ['with an empty user', bytes(1, 0, 1, 'b')],
  ] as const)
    test(`${what} are malformed`, () => expect(credentials(input).state).toBe('malformed'));
});

describe('a SOCKS5 request', () => {
  const port = fc.nat(65_535);
  test('names a host by name, IPv4 or IPv6 address, and a port', () => {
    const host = fc.oneof(
      latin1(1).map((name) => ({ type: 3, sent: [name.length, ...octets(name)], host: name })),
      fc
        .uint8Array({ minLength: 4, maxLength: 4 })
        .map((list) => ({ type: 1, sent: [...list], host: addressOf(list) })),
      fc
        .uint8Array({ minLength: 16, maxLength: 16 })
        .map((list) => ({ type: 4, sent: [...list], host: addressOf(list) })),
    );
    fc.assert(
      fc.property(fc.nat(255), host, port, fc.uint8Array(), (command, { type, sent, host }, port, after) => {
        const input = bytes(5, command, 0, type, ...sent, port >> 8, port & 255, ...after);
        expect(request(input)).toEqual({
          state: 'value',
          value: { command, host, port },
          end: 6 + sent.length,
        });
      }),
      { numRuns: 50 },
    );
  });
  test('of an unknown address type is told from a malformed one, for it has an answer of its own', () => {
    for (const type of [0, 2, 5, 255])
      expect(request(bytes(5, 1, 0, type, 1, 2, 3))).toEqual({
        state: 'value',
        value: { command: 1, host: null, port: 0 },
        end: 4,
      });
  });
  for (const [what, input] of [
    ['of version 4', bytes(4, 1, 1, 187, 1, 2, 3, 4)],
    ['with something in its reserved octet', bytes(5, 1, 1, 1, 1, 2, 3, 4, 1, 187)],
    ['with an empty name', bytes(5, 1, 0, 3, 0, 1, 187)],
  ] as const)
    test(`${what} is malformed`, () => expect(request(input).state).toBe('malformed'));
});

test('anything has the same answer however it is split', () => {
  const good = fc.constantFrom(
    bytes(5, 2, 0, 2),
    bytes(1, 3, 'bot', 3, 'abc'),
    bytes(5, 1, 0, 3, 9, 'good.test', 1, 187),
    bytes(5, 1, 0, 4, ...new Array(16).fill(7), 1, 187),
  );
  const change = fc.tuple(fc.nat(40), fc.option(fc.nat(255)));
  fc.assert(
    fc.property(good, fc.array(change, { maxLength: 3 }), fc.uint8Array(), (start, changes, after) => {
      const input = bytes(...mutate(start, changes), ...after);
      for (const parse of [greeting, credentials, request]) parse(input);
    }),
    { numRuns: 300 },
  );
});
