import { expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  attribute,
  attributesOf,
  decodeAnswers,
  encodeRequest,
  nested,
  number16,
  number32,
  text,
} from './netlinkmessage.ts';

const NLMSG_ERROR = 2;

function acknowledgement(errno: number, sequence: number, explanation = ''): Buffer {
  const body = Buffer.alloc(4 + 16);
  body.writeInt32LE(-errno, 0);
  body.writeUInt32LE(16, 4);
  const words = explanation === '' ? [] : [text(1, explanation)];
  const flags = explanation === '' ? 0 : 0x200;
  return encodeRequest({ type: NLMSG_ERROR, flags, body: Buffer.concat([body, ...words]) }, sequence);
}

test('a request carries its length, type, flags and number', () => {
  expect([...encodeRequest({ type: 16, flags: 5, body: Buffer.of(1, 2, 3, 4) }, 7)]).toEqual([
    ...[20, 0, 0, 0, 16, 0, 5, 0],
    ...[7, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
  ]);
});

test('attributes are padded to four bytes and read back', () => {
  const bytes = Buffer.concat([
    text(1, 'name'),
    number32(2, -100),
    number16(3, 513),
    attribute(4, Buffer.of(9)),
  ]);
  expect(bytes.length % 4).toBe(0);
  const found = attributesOf(bytes);
  expect(found.get(1)!.toString('latin1')).toBe('name\0');
  expect(found.get(2)!.readInt32BE()).toBe(-100);
  expect(found.get(3)!.readUInt16BE()).toBe(513);
  expect([...found.get(4)!]).toEqual([9]);
  expect([...attributesOf(nested(5, bytes)).get(5)!]).toEqual([...bytes]);
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
