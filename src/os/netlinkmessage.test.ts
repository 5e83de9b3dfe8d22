import { expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  attribute,
  attributesOf,
  decodeAnswers,
  encodeRequest,
  machine32,
  nested,
  number16,
  number32,
  type Octets,
  octets,
  text,
} from './netlinkmessage.ts';

const NLMSG_ERROR = 2;

const asBytes = (octets: Octets) => Buffer.from(octets, 'latin1');

function acknowledgement(errno: number, sequence: number, explanation = ''): Buffer {
  const body = machine32(-errno) + machine32(16) + '\0'.repeat(12);
  const words = explanation === '' ? '' : text(1, explanation);
  const flags = explanation === '' ? 0 : 0x200;
  return asBytes(encodeRequest({ type: NLMSG_ERROR, flags, body: body + words }, sequence));
}

test('a request carries its length, type, flags and number', () => {
  expect([...asBytes(encodeRequest({ type: 16, flags: 5, body: octets(1, 2, 3, 4) }, 7))]).toEqual([
    ...[20, 0, 0, 0, 16, 0, 5, 0],
    ...[7, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
  ]);
});

test('attributes are padded to four bytes and read back', () => {
  const joined = text(1, 'name') + number32(2, -100) + number16(3, 513) + attribute(4, octets(9));
  expect(joined.length % 4).toBe(0);
  const found = attributesOf(asBytes(joined));
  expect(found.get(1)!.toString('latin1')).toBe('name\0');
  expect(found.get(2)!.readInt32BE()).toBe(-100);
  expect(found.get(3)!.readUInt16BE()).toBe(513);
  expect([...found.get(4)!]).toEqual([9]);
  expect([...attributesOf(asBytes(nested(5, joined))).get(5)!]).toEqual([...asBytes(joined)]);
});

test('acknowledgements tell their number, the error and what the kernel says of it', () => {
  const answers = decodeAnswers(
    Buffer.concat([acknowledgement(0, 1), acknowledgement(17, 2, 'Exists already')]),
  );
  expect(answers.map(({ sequence, errno, explanation }) => ({ sequence, errno, explanation }))).toEqual([
    { sequence: 1, errno: 0, explanation: '' },
    { sequence: 2, errno: 17, explanation: 'Exists already' },
  ]);
});

test('an answer cut short is none', () => {
  const whole = acknowledgement(0, 1);
  for (let length = 0; length < whole.length; length++)
    expect(decodeAnswers(whole.subarray(0, length))).toEqual([]);
});

test('any bytes are read without an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      decodeAnswers(Buffer.from(bytes));
      attributesOf(Buffer.from(bytes));
    }),
  );
});
