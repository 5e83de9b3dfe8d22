/** `clawctl egress alerts silence`, as a person types it. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Rulesets } from '../alerts/engine/rulesets.ts';
import { openAlertStore } from '../alerts/store.ts';
import { DEFAULT_ALERTS } from '../policy/alerts/defaults.ts';
import { createPerson, type Person } from './person.fixture.ts';

let person: Person;
beforeEach(() => {
  person = createPerson();
  person.writePolicy('version: 1\n');
});
afterEach(() => person.leave());

const silence = (...words: string[]) => person.type(['egress', 'alerts', 'silence', ...words]);
const WHY = ['--reason', 'load test'];

test('silence lasts as long as it is asked for, is listed, and can be ended', async () => {
  expect((await silence('blocked_request_spike', '--for', '2h', ...WHY)).code).toBe(0);
  const { items, silences } = await person.json('egress alerts list --json');
  const until = Date.parse(
    String(items.find(({ name }) => name === 'blocked_request_spike')!.silenced_until),
  );
  expect(Math.abs(until - Date.now() - 2 * 3_600_000)).toBeLessThan(60_000);
  expect(silences).toMatchObject([{ rule: 'blocked_request_spike', agent: null, reason: 'load test' }]);
  expect((await silence('blocked_request_spike', '--end')).code).toBe(0);
  expect((await silence('blocked_request_spike', '--end')).code).toBe(1);
  expect((await person.json('egress alerts list --json')).silences).toEqual([]);
});

test.each([
  ['no length', ['blocked_request_spike', ...WHY], 2, 'For how long?'],
  ['no reason', ['blocked_request_spike', '--for', '2h'], 2, 'Why?'],
  ['a reason of nothing', ['blocked_request_spike', '--for', '2h', '--reason', ' '], 2, 'Why?'],
  ['a length beyond a month', ['--all', '--for', '31d', ...WHY], 2, 'at most 30d'],
  ['a length that is none', ['--all', '--for', '2', ...WHY], 2, "'2' is not a duration"],
  ['an end and a length', ['--all', '--for', '2h', '--end'], 2, 'one of --for and --end'],
  ['no alert', ['--for', '2h', ...WHY], 2, 'Which alert'],
  ['one alert and all', ['--all', 'killed', '--for', '1h', ...WHY], 2, 'Which alert'],
  ['an unknown alert', ['killd', '--for', '2h', ...WHY], 1, "Did you mean 'killed'?"],
  [
    'an agent that is none',
    ['killed', '--for', '2h', ...WHY, '--agent', 'a b'],
    2,
    'not the name of an agent',
  ],
] as const)('silence with %s is refused and changes nothing', async (_, words, code, said) => {
  const refused = await silence(...words);
  expect([refused.code, refused.err]).toEqual([code, expect.stringContaining(said)]);
  expect((await person.json('egress alerts list --json')).silences).toEqual([]);
});

test('silence knows the alerts of every policy in use, whoever is told by them', async () => {
  mkdirSync(join(person.home, 'state/clawctl'), { recursive: true });
  const db = openAlertStore(join(person.home, 'state/clawctl/alerts.db'));
  new Rulesets(db, '/elsewhere.yaml').show([{ ...DEFAULT_ALERTS[0]!, name: 'of_another' }], Date.now());
  db.close();
  expect((await silence('of_another', '--for', '2h', ...WHY)).code).toBe(0);
  expect((await person.json('egress alerts list --json')).silences).toMatchObject([{ rule: 'of_another' }]);
});
