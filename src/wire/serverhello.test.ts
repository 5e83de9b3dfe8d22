import { expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { message, record, records } from './clienthello.fixture.ts';
import { answerOfEverySplit } from './feeding.fixture.ts';
import { parseServerHello, type ServerHello } from './serverhello.ts';

const RETRY = [...createHash('sha256').update('HelloRetryRequest').digest()];
const serverHello = (random: number[]) => message(2, [3, 3, ...random, 0, 0x13, 0x01, 0]);
const parse = (bytes: Iterable<number>) =>
  answerOfEverySplit<ServerHello>((prefix) => parseServerHello(prefix), Uint8Array.from(bytes));

test('a HelloRetryRequest is told from a ServerHello by its random', () => {
  const retry = records(serverHello(RETRY));
  expect(parse(retry)).toEqual({ state: 'value', value: { helloRetryRequest: true }, end: retry.length });
  expect(parse(records(serverHello(Array(32).fill(1))))).toMatchObject({
    value: { helloRetryRequest: false },
  });
});

test('it is told however the records are cut, and with other messages or a change of cipher around it', () => {
  const retry = serverHello(RETRY);
  expect(parse(records(retry, 1, 5, 20))).toMatchObject({ value: { helloRetryRequest: true } });
  expect(parse([...record([1], 20), ...records(retry)])).toMatchObject({
    value: { helloRetryRequest: true },
  });
  expect(parse(record([...retry, ...message(11, [0, 0, 0])]))).toMatchObject({
    value: { helloRetryRequest: true },
  });
});

test('a fatal alert means that no other ClientHello follows', () => {
  expect(parse(record([2, 40], 21))).toMatchObject({ state: 'value', value: { helloRetryRequest: false } });
});

test('a warning says nothing about what follows', () => {
  const warning = record([1, 112], 21);
  const retry = records(serverHello(RETRY));
  const end = warning.length + retry.length;
  expect(parse([...warning, ...retry])).toEqual({ state: 'value', value: { helloRetryRequest: true }, end });
  expect(parse([...warning, ...record([2, 112], 21)])).toMatchObject({ value: { helloRetryRequest: false } });
  expect(parse(warning).state).toBe('more');
  expect(parse(record([1, 112, 0], 21)).state).toBe('malformed');
  expect(parse([...Array(5).fill(warning).flat(), ...retry]).state).toBe('malformed');
});

test('anything else is malformed', () => {
  expect(parse(record([0, 1, 2], 23)).state).toBe('malformed');
  expect(parse(records(message(1, Array(60).fill(0)))).state).toBe('malformed');
  expect(parse(records(message(2, Array(20).fill(0)))).state).toBe('malformed');
  expect(parse(Buffer.from('SSH-2.0')).state).toBe('malformed');
});

test('it never throws and every split answers the same', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => void parse(noise)));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 99 }), (noise) => void parse(records(message(2, [...noise])))),
  );
});
