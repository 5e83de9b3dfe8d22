import { describe, expect, test } from 'bun:test';
import { allowed, closed, refusal } from '../../events/event.fixture.ts';
import { verifyStore } from '../../events/verify.ts';
import { openAlertStore } from '../store.ts';
import { alert, openMachine, START } from './engine.fixture.ts';

const SPIKE = 'blocked_requests > 100 in 5 minutes';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test('101 refusals in five minutes fire once, 100 do not', () => {
  const machine = openMachine([alert(SPIKE)]);
  machine.pass(1_000);
  machine.blocked(100);
  machine.pass(1_000);
  expect(machine.messages()).toEqual([]);
  machine.blocked(1, { host: 'other.example' });
  machine.pass(250);
  expect(machine.messages()).toEqual(['firing']);
  expect(machine.incidents()).toMatchObject([
    {
      ...{ rule: 'rule', state: 'firing', value: 101, threshold: 100, count: 101, agents: ['claude'] },
      hosts: [
        { host: 'evil.example', count: 100, reason: 'no-rule' },
        { host: 'other.example', count: 1 },
      ],
    },
  ]);
  machine.blocked(500);
  machine.pass(10_000);
  expect(machine.messages()).toEqual(['firing']);
  machine.pass(300_000);
  expect(machine.messages()).toEqual(['firing', 'resolved']);
  expect(machine.incidents()).toMatchObject([{ state: 'resolved', count: 601 }]);
});

test('100 refusals and one more when the first have left the window do not fire', () => {
  const machine = openMachine([alert(SPIKE)]);
  machine.pass(1_000);
  machine.blocked(100);
  machine.pass(300_000);
  machine.blocked(1);
  machine.pass(1_000);
  expect(machine.incidents()).toEqual([]);
});

test('one second less, and they are still in the window', () => {
  const machine = openMachine([alert(SPIKE)]);
  machine.pass(1_000);
  machine.blocked(100);
  machine.pass(299_000);
  machine.blocked(1);
  machine.pass(250);
  expect(machine.messages()).toEqual(['firing']);
});

test('a later refusal moves a request from allowed to blocked, and closes count octets and failures', () => {
  const rules = [
    alert('blocked_requests >= 1 in 1 minute', { name: 'blocked' }),
    alert('allowed_requests >= 2 in 1 minute', { name: 'allowed' }),
    alert('bytes_up > 1 MB in 1 minute', { name: 'up' }),
    alert('failed_requests > 0 in 1 minute', { name: 'failed' }),
    alert('dns_queries >= 3 in 1 minute', { name: 'dns' }),
  ];
  const machine = openMachine(rules);
  const time = START + 1_000;
  machine.pass(1_000);
  machine.record(allowed({ time }), allowed({ time, connection: 2 }), refusal({ time, connection: 2 }));
  machine.record(closed({ time, bytesUp: 1_000_001 }), closed({ time, outcome: 'failed' }));
  machine.record({
    ...{ kind: 'question', time, agent: 'claude', session: 's', host: 'a.example', type: 'A', count: 3 },
  });
  machine.pass(500);
  expect(machine.incidents().map(({ rule }) => rule)).toEqual(['blocked', 'up', 'failed', 'dns']);
});

test('a second burst within the cool-down sends nothing, and one after it does', () => {
  const machine = openMachine([alert('blocked_requests > 5 in 1 minute', { cooldown: 600_000 })]);
  machine.pass(1_000);
  machine.blocked(6);
  machine.pass(120_000);
  expect(machine.messages()).toEqual(['firing', 'resolved']);
  machine.blocked(6);
  machine.pass(120_000);
  expect(machine.messages()).toEqual(['firing', 'resolved']);
  expect(machine.incidents().map(({ state, told }) => [state, told])).toEqual([
    ['resolved', true],
    ['resolved', false],
  ]);
  machine.pass(600_000);
  machine.blocked(6);
  machine.pass(1_000);
  expect(machine.messages()).toEqual(['firing', 'resolved', 'firing']);
});

test('what still fires when its cool-down ends is told then', () => {
  const machine = openMachine([alert('blocked_requests > 5 in 1 minute', { cooldown: 300_000 })]);
  machine.pass(1_000);
  machine.blocked(6);
  machine.pass(120_000);
  for (let n = 0; n < 8; n++) {
    machine.blocked(6);
    machine.pass(30_000);
  }
  expect(machine.messages()).toEqual(['firing', 'resolved', 'firing']);
});

test('an alert with `for` is pending until its condition has held that long', () => {
  const rule = alert('blocked_requests > 2 in 1 minute', { for: 90_000 });
  const machine = openMachine([rule]);
  machine.pass(1_000);
  machine.blocked(3);
  machine.pass(1_000);
  expect(machine.incidents()).toMatchObject([{ state: 'pending', firedAt: null }]);
  machine.pass(60_000);
  expect(machine.incidents()).toMatchObject([{ state: 'resolved', firedAt: null }]);
  for (let n = 0; n < 4; n++) {
    machine.blocked(3);
    machine.pass(30_000);
  }
  expect(machine.incidents()).toMatchObject([{ state: 'resolved' }, { state: 'firing' }]);
  expect(machine.messages()).toEqual(['firing']);
  expect(machine.notices().map((text) => text.split(' ')[0])).toEqual([
    'alert-pending',
    'alert-resolved',
    'alert-pending',
    'alert-firing',
  ]);
});

test('every change is in the sealed record once', () => {
  const machine = openMachine([alert('blocked_requests > 2 in 1 minute')]);
  machine.pass(1_000);
  machine.blocked(3);
  machine.pass(90_000);
  expect(machine.notices()).toMatchObject([
    expect.stringMatching(
      /^alert-firing firing: rule \(\w{10}, high\): blocked_requests > 2 in 1 minute; counted 3$/,
    ),
    expect.stringMatching(/^alert-resolved resolved: rule /),
  ]);
  expect(verifyStore(machine.store).ok).toBe(true);
});

test('groups fire each for itself, and many at once as one', () => {
  const machine = openMachine([alert('blocked_requests > 2 in 1 minute per host')]);
  machine.pass(1_000);
  machine.blocked(2, { host: 'c.example' });
  for (const host of ['a.example', 'b.example']) machine.blocked(3, { host });
  machine.pass(1_000);
  expect(machine.messages()).toEqual(['firing a.example', 'firing b.example']);
  machine.pass(90_000);
  for (let n = 0; n < 50; n++) machine.blocked(3 + n, { host: `h${n}.example` });
  machine.pass(1_000);
  expect(machine.messages().slice(2)).toEqual([
    'resolved a.example',
    'resolved b.example',
    'firing 50 groups',
  ]);
  expect(machine.incidents().at(-1)!.hosts[0]).toMatchObject({ host: 'h49.example', count: 52 });
  machine.pass(90_000);
  expect(machine.messages().at(-1)).toBe('resolved 50 groups');
});

test('groups that follow a flood while it lasts belong to it, and afterwards fire for themselves', () => {
  const machine = openMachine([alert('blocked_requests > 2 in 10 minutes per host')]);
  machine.pass(1_000);
  for (let n = 0; n < 5; n++) machine.blocked(3, { host: `h${n}.example` });
  machine.pass(120_000);
  machine.blocked(3, { host: 'late.example' });
  machine.pass(120_000);
  expect(machine.messages()).toEqual(['firing 5 groups']);
  expect(machine.incidents()).toMatchObject([{ groups: 6, count: 18 }]);
  machine.pass(660_000);
  machine.blocked(3, { host: 'alone.example' });
  machine.pass(1_000);
  expect(machine.messages().slice(1)).toEqual(['resolved 6 groups', 'firing alone.example']);
});

test('an incident that somebody has taken on is not told when its cool-down ends', () => {
  const machine = openMachine([alert('blocked_requests > 5 in 1 minute', { cooldown: 300_000 })]);
  machine.pass(1_000);
  machine.blocked(6);
  machine.pass(120_000);
  const keepOn = () => {
    machine.blocked(6);
    machine.pass(30_000);
  };
  keepOn();
  const other = openAlertStore(machine.path);
  other.run("UPDATE incident SET acknowledged_at = 1, acknowledged_by = 'me' WHERE state = 'firing'");
  for (let n = 0; n < 8; n++) keepOn();
  expect(machine.messages()).toEqual(['firing', 'resolved']);
});

test('a domain that matches fires at the first request, allowed or not, and holds for five minutes', () => {
  const machine = openMachine([alert('domain matches *.tk, *.ml')]);
  machine.pass(1_000);
  machine.blocked(3, { host: 'tk.example' });
  machine.pass(1_000);
  expect(machine.messages()).toEqual([]);
  machine.record(allowed({ time: machine.clock.time, host: 'x.tk' }));
  machine.pass(500);
  expect(machine.messages()).toEqual(['firing']);
  expect(machine.incidents()).toMatchObject([
    { hosts: [{ host: 'x.tk', count: 1 }], decidingRule: 'egress.yaml:12' },
  ]);
  machine.pass(301_000);
  expect(machine.messages()).toEqual(['firing', 'resolved']);
});

test('conditions join by and, or and not, of what is told apart differently too', () => {
  const machine = openMachine([
    alert('blocked_requests > 2 in 1 minute per agent and domain matches *.tk', { name: 'both' }),
    alert('blocked_requests > 3 in 1 minute and not domain matches *.tk', { name: 'not' }),
    alert('blocked_requests > 4 in 1 minute per agent and blocked_requests > 2 in 1 minute per host', {
      name: 'pair',
    }),
  ]);
  machine.pass(400_000);
  machine.blocked(3, { agent: 'a', host: 'a.example' });
  machine.blocked(1, { agent: 'b', host: 'x.tk' });
  machine.pass(1_000);
  expect(machine.messages()).toEqual([]);
  machine.blocked(1, { agent: 'a', host: 'x.tk' });
  machine.pass(1_000);
  expect(machine.messages()).toEqual(['firing a']);
  machine.blocked(1, { agent: 'a', host: 'x.tk' });
  machine.pass(1_000);
  const pairs = machine.incidents().filter(({ rule }) => rule === 'pair');
  expect(pairs.map(({ group }) => `${group.agent} ${group.host}`).sort()).toEqual(['a a.example', 'a x.tk']);
});

test('a domain is new once, and never again', () => {
  const machine = openMachine([alert('new_blocked_domains > 2 in 1 minute')]);
  machine.pass(1_000);
  for (const host of ['a.one.example', 'b.one.example', 'two.example']) machine.blocked(5, { host });
  machine.pass(500);
  expect(machine.messages()).toEqual([]);
  machine.blocked(1, { host: 'three.test' });
  machine.blocked(1, { host: 'www.four.test' });
  machine.pass(500);
  expect(machine.messages()).toEqual(['firing']);
});

test('a silence with a reason holds messages back, and what still fires at its end is told', () => {
  const machine = openMachine([alert('blocked_requests > 2 in 10 minutes')]);
  machine.pass(1_000);
  machine.db
    .query(
      "INSERT INTO silence (rule, agent, since, until, reason, set_by) VALUES ('rule', NULL, ?, ?, 'x', 'me')",
    )
    .run(machine.clock.time, machine.clock.time + 120_000);
  const other = machine.another();
  machine.engine.close();
  machine.blocked(3);
  machine.pass(60_000, other);
  expect(machine.incidents()).toMatchObject([{ state: 'firing', told: false }]);
  expect(machine.messages()).toEqual([]);
  machine.pass(61_000, other);
  expect(machine.messages()).toEqual(['firing']);
});

describe('a clock that is set', () => {
  const SPIKE_OF_A_MINUTE = alert('blocked_requests > 2 in 1 minute', { cooldown: 300_000 });

  test('forward, and back, lets alerts fire then and later, and mutes none for longer than it was to last', () => {
    const machine = openMachine([SPIKE_OF_A_MINUTE]);
    machine.pass(1_000);
    machine.clock.shift = HOUR;
    machine.blocked(3);
    machine.pass(1_000);
    expect(machine.messages()).toEqual(['firing']);
    machine.clock.shift = 0;
    machine.pass(20_000);
    expect(machine.messages()).toEqual(['firing', 'resolved']);
    machine.blocked(3);
    machine.pass(1_000);
    expect(machine.incidents().map(({ state, told }) => [state, told])).toEqual([
      ['firing', false],
      ['resolved', true],
    ]);
    machine.pass(300_000);
    machine.blocked(3);
    machine.pass(1_000);
    expect(machine.messages()).toEqual(['firing', 'resolved', 'firing']);
    machine.clock.shift = -HOUR;
    machine.pass(20_000);
    expect(machine.incidents().filter(({ state }) => state !== 'resolved')).toEqual([]);
  });

  test('back makes no row that was recorded before it the time of all', () => {
    const machine = openMachine([SPIKE_OF_A_MINUTE], new Map([['dns_tunnel', () => ({ see: () => null })]]));
    machine.clock.shift = HOUR;
    machine.pass(1_000);
    machine.blocked(1);
    machine.clock.shift = 0;
    machine.pass(1_000);
    machine.blocked(3);
    machine.pass(1_000);
    expect(machine.messages()).toEqual(['firing']);
  });

  test('forward is no silence, and back again lets a silence be one', () => {
    const machine = openMachine([alert('allowed_requests == 0 in 10 minutes')]);
    for (const shift of [0, HOUR, 0]) {
      machine.clock.shift = shift;
      machine.pass(4 * MINUTE);
    }
    expect(machine.messages()).toEqual([]);
    machine.pass(10 * MINUTE);
    expect(machine.messages()).toEqual(['firing']);
  });
});

test('an alert of several policies is told by the channels of each, and one of one by its own', () => {
  const [both, text] = [alert('blocked_requests > 2 in 1 minute'), 'blocked_requests > 1 in 1 minute'];
  const machine = openMachine([both]);
  const theirs = [both, alert(text, { name: 'theirs' })];
  const other = machine.another(theirs, openAlertStore(machine.path), '/their.yaml');
  other.step();
  other.close();
  machine.pass(1_000);
  machine.blocked(3);
  machine.pass(1_000);
  const sent = machine.db.query(
    "SELECT body ->> '$.incident.rule', lane, source FROM delivery ORDER BY 1, 3",
  );
  expect(sent.values()).toEqual([
    ['rule', 'oncall', '/their.yaml'],
    ['rule', 'oncall', 'egress.yaml'],
    ['theirs', 'oncall', '/their.yaml'],
  ]);
});

describe('an alert that tells nobody', () => {
  const TEXT = 'blocked_requests > 2 in 10 minutes';
  const to = (...notify: string[]) => [alert(TEXT, { notify, cooldown: HOUR })];
  const lanes = (machine: ReturnType<typeof openMachine>) =>
    machine.db
      .query("SELECT lane || ' ' || (body ->> 'transition') AS told FROM delivery ORDER BY id")
      .values()
      .flat();

  test('tells whoever the policy names from then on, also of what fires already, and of its end', () => {
    const machine = openMachine(to());
    machine.pass(1_000);
    machine.blocked(3);
    machine.pass(60_000);
    expect(machine.incidents()).toMatchObject([{ state: 'firing', told: false }]);
    machine.engine.close();
    const named = machine.another(to('oncall'));
    machine.pass(1_000, named);
    expect(lanes(machine)).toEqual(['oncall firing']);
    named.close();
    const other = machine.another(to('desk'));
    machine.pass(1_000, other);
    expect(lanes(machine)).toEqual(['oncall firing']);
    other.close();
    machine.pass(10 * MINUTE, machine.another(to('desk')));
    expect(lanes(machine)).toEqual(['oncall firing', 'desk resolved', 'oncall resolved']);
  });

  test('uses up no cool-down', () => {
    const machine = openMachine(to());
    machine.pass(1_000);
    machine.blocked(3);
    machine.pass(11 * MINUTE);
    expect(machine.incidents()).toMatchObject([{ state: 'resolved' }]);
    machine.engine.close();
    const named = machine.another(to('oncall'));
    machine.blocked(3);
    machine.pass(1_000, named);
    expect(lanes(machine)).toEqual(['oncall firing']);
  });

  test('tells of a flood, too, once it names somebody', () => {
    const flood = (...notify: string[]) => [alert('blocked_requests > 2 in 10 minutes per host', { notify })];
    const machine = openMachine(flood());
    machine.pass(1_000);
    for (let n = 0; n < 5; n++) machine.blocked(3, { host: `h${n}.example` });
    machine.pass(1_000);
    machine.engine.close();
    machine.pass(2_000, machine.another(flood('oncall')));
    expect(lanes(machine)).toEqual(['oncall firing']);
  });
});

test('an alert that leaves the policy is resolved', () => {
  const machine = openMachine([alert('blocked_requests > 2 in 1 hour')]);
  machine.pass(1_000);
  machine.blocked(3);
  machine.pass(1_000);
  machine.engine.close();
  machine.pass(1_000, machine.another([]));
  expect(machine.messages()).toEqual(['firing', 'resolved']);
  expect(machine.incidents()).toMatchObject([{ state: 'resolved', resolvedBy: 'rule-removed' }]);
});
