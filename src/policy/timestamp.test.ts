import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { parseTimestamp } from './timestamp.ts';

test('a time is read with its zone', () => {
  const noon = Date.UTC(2026, 11, 1, 12);
  for (const text of [
    '2026-12-01T12:00:00Z',
    '2026-12-01t12:00:00z',
    '2026-12-01 13:00:00+01:00',
    '2026-12-01T06:30:00-05:30',
  ])
    expect(parseTimestamp(text)).toBe(noon);
  expect(parseTimestamp('2026-12-01T12:00:00.250Z')).toBe(noon + 250);
});

test('a time that is none is refused', () => {
  for (const text of [
    '',
    '2026-12-01',
    '2026-12-01T12:00:00',
    '2026-13-01T12:00:00Z',
    '2026-02-29T12:00:00Z',
    '2026-12-01T24:00:00Z',
    '2026-12-01T12:60:00Z',
    '2026-12-01T12:00:00+24:00',
    '1e3',
    '20261201T120000Z',
  ])
    expect(parseTimestamp(text)).toBeNull();
});

test('every moment is read back from its own text', () => {
  const moments = fc.date({ min: new Date('2000-01-01'), max: new Date('2999-01-01'), noInvalidDate: true });
  fc.assert(
    fc.property(moments, (moment) => expect(parseTimestamp(moment.toISOString())).toBe(moment.getTime())),
  );
});
