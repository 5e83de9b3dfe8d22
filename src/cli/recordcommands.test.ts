/** The commands about what happened, over a store that a gateway has written. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { type DecisionEvent, UNREAD_HOST } from '../events/event.ts';
import { openRecorder } from '../events/recorder.ts';
import type { Reason } from '../policy/reason.ts';
import { createPerson, type Person } from './person.fixture.ts';

let person: Person;
beforeEach(() => {
  person = createPerson();
});
afterEach(() => person.leave());

const store = () => join(person.home, 'state/clawctl/egress.db');

function decision(host: string, reason: Reason, rest: Partial<DecisionEvent> = {}): DecisionEvent {
  return {
    kind: 'decision',
    time: Date.now() - 5_000,
    agent: 'curl',
    session: 's',
    connection: 1,
    protocol: 'tcp',
    host,
    port: 443,
    verdict: reason === 'rule' ? 'allow' : 'deny',
    reason,
    rule: null,
    wouldDeny: false,
    ...rest,
  };
}

async function record(...events: DecisionEvent[]): Promise<void> {
  const recorder = openRecorder({ store: store() });
  for (const event of events) await recorder.decide(event);
  for (const { host, connection } of events.filter((event) => event.verdict === 'allow'))
    recorder.note({
      ...{ kind: 'close', time: Date.now(), agent: 'curl', session: 's', connection, host, port: 443 },
      ...{ outcome: 'done', reason: null, bytesUp: 120, bytesDown: 3_400, duration: 25 },
    });
  await recorder.close();
}

describe('blocked', () => {
  test('shows what could not be read as no host, and never for the one that a command is about', async () => {
    await record(decision(UNREAD_HOST, 'socks-malformed', { port: 0 }));
    const { out, err } = await person.type('egress blocked');
    expect(out).toContain(`${UNREAD_HOST}\t0\tcurl\tsocks-malformed`);
    expect(out).toContain('what was asked for could not be read');
    expect(err).not.toContain('explain');
    const [item] = (await person.json('egress blocked --json')).items;
    expect(item).toMatchObject({ host: UNREAD_HOST, port: 0, note: 'what was asked for could not be read' });
    const stats = await person.json('egress stats --json');
    expect(stats).toMatchObject({ new_blocked_hosts: [], top_blocked: [{ host: UNREAD_HOST }] });
    const explained = await person.type('egress explain 1');
    expect([explained.code, explained.out]).toEqual([0, expect.stringContaining(UNREAD_HOST)]);
  });

  test('groups refusals and ends with what to type', async () => {
    await record(
      decision('attacker.com', 'no-rule', { connection: 1 }),
      decision('attacker.com', 'no-rule', { connection: 2 }),
      decision('githud.com', 'no-rule', { connection: 3 }),
      decision('169.254.169.254', 'no-rule', { connection: 4, port: 80 }),
      decision('github.com', 'rule', { connection: 5 }),
    );
    const { out, err, code } = await person.type('egress blocked --last 24h');
    const rows = out
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
    expect(rows.find(([host]) => host === 'attacker.com')!.slice(1, 5)).toEqual([
      '443',
      'curl',
      'no-rule',
      '2',
    ]);
    expect(rows.find(([host]) => host === 'githud.com')![7]).toContain('imitates github.com');
    expect(rows.find(([host]) => host === '169.254.169.254')![7]).toBe('metadata address');
    expect(rows).toHaveLength(3);
    expect(err).toContain('clawctl egress add attacker.com');
    expect(err).toContain('clawctl egress explain attacker.com:443');
    expect(code).toBe(0);
  });

  test('advises to add nothing that adding would not change', async () => {
    await record(
      decision('denied.com', 'denied', { connection: 1 }),
      decision('denied.com', 'denied', { connection: 2 }),
    );
    expect((await person.type('egress blocked')).err).not.toContain('egress add');
    await record(decision('db.example.com', 'port', { connection: 3, port: 5432 }));
    const { err } = await person.type('egress blocked');
    expect(err).toContain('clawctl egress add db.example.com --port 5432\n');
    expect(err).toContain('clawctl egress explain db.example.com:5432 --agent curl\n');
  });

  test('as JSON has the fields that others build on', async () => {
    await record(decision('attacker.com', 'no-rule'));
    const { schema, items } = await person.json('egress blocked --json');
    expect(schema).toBe('clawctl.egress.blocked/v1');
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const place = { host: 'attacker.com', port: 443, agent: 'curl' };
    expect(items).toEqual([{ ...place, reason: 'no-rule', count: 1, first: time, last: time, note: null }]);
  });

  test('says so where there is nothing, with and without a store', async () => {
    expect((await person.type('egress blocked')).err).toContain('nothing was blocked in the last 24h');
    await record(decision('attacker.com', 'no-rule'));
    const { out, err } = await person.type('egress blocked --agent other --last 1h');
    expect(out).toBe('');
    expect(err).toContain('nothing of other was blocked in the last 1h');
    expect((await person.json('egress blocked --agent other --json')).items).toEqual([]);
  });

  test.each(['--last never', '--last 0s', '--since yesterday', '--since 2026-02-30'])(
    'refuses %p',
    async (option) => {
      expect((await person.type(`egress blocked ${option}`)).code).toBe(2);
    },
  );
});

test('stats has the figures that others build on', async () => {
  await record(decision('github.com', 'rule'), decision('attacker.com', 'no-rule', { connection: 2 }));
  expect(await person.json('egress stats --by host --json')).toMatchObject({
    schema: 'clawctl.egress.stats/v1',
    requests: 2,
    allowed: 1,
    blocked: 1,
    failed: 0,
    bytes_up: 120,
    bytes_down: 3_400,
    hosts: 2,
    blocked_hosts: 1,
    agents: 1,
    new_blocked_hosts: ['attacker.com'],
  });
  expect((await person.type('egress stats')).out).toContain('requests\t2\n');
  expect((await person.type('egress stats --by agent')).out).toStartWith('curl\t2\t1\t1\t0\t120\t3400\n');
});

test('list tells what a rule was used for', async () => {
  await record(decision('github.com', 'rule'));
  const { items } = await person.json('egress list --json');
  expect(items.find((item) => item.host === 'github.com')).toMatchObject({ uses_24h: 1 });
  expect(items.find((item) => item.host === 'api.openai.com')).toMatchObject({
    uses_24h: 0,
    last_used: null,
  });
});

test('explain takes the number of an event', async () => {
  await record(decision('attacker.com', 'no-rule', { port: 8443 }));
  const { event, host, port } = await person.json('egress explain 1 --json');
  expect({ host, port }).toEqual({ host: 'attacker.com', port: 8443 });
  expect(event).toMatchObject({ schema: 'clawctl.egress.event/v1', reason: 'no-rule' });
  expect((await person.type('egress explain 99')).code).toBe(1);
});

describe('explain of an event', () => {
  const explained = async (event: DecisionEvent, policy: string) => {
    await record(event);
    person.writePolicy(policy);
    const { differs } = await person.json('egress explain 1 --json');
    return { differs: String(differs), out: (await person.type('egress explain 1')).out };
  };

  test('begins with its own reason, and is silent about a difference where there is none', async () => {
    const { out, differs } = await explained(decision('a.test', 'no-rule'), 'version: 1');
    expect(out).toContain('It was refused then: no rule allows this host (no-rule).\n');
    expect(out).toContain('To allow it: clawctl egress add a.test');
    expect(differs).toBe('null');
  });

  test('says that the rules have changed since', async () => {
    const { out, differs } = await explained(decision('a.test', 'no-rule'), 'allow: [a.test]');
    expect(out).toContain('It was refused then: no rule allows this host (no-rule). The answer of now');
    expect(differs).toContain('the policy has changed since');
  });

  test('says that the kill switch was on', async () => {
    const { out } = await explained(decision('a.test', 'killed'), 'allow: [a.test]');
    expect(out).toContain('(killed). The kill switch was on then and is off now.');
  });

  test('does not hold the rules to blame for what is none of theirs', async () => {
    const event = decision('a.test', 'credentials-wrong', { agent: '-' });
    const { out, differs } = await explained(event, 'allow: [a.test]');
    expect(out).toContain('the name or the token of the agent is wrong (credentials-wrong)');
    expect(out).toEndWith('To see more: clawctl egress agents list\n');
    expect(out).not.toContain('To refuse it');
    expect(differs).toContain('no matter of the rules');
    expect((await person.type('egress blocked')).err).toContain(
      'To see why:     clawctl egress agents list\n',
    );
  });
});

test('tail follows from now on, and ends when interrupted', async () => {
  await record(decision('old.test', 'no-rule'));
  const child = Bun.spawn([join(import.meta.dir, '../../clawctl'), 'egress', 'tail', '--json'], {
    env: person.environment,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const reader = child.stdout.getReader();
  // Nothing tells that it has begun to follow; what comes before would be missed, so it is written until seen.
  let seen = '';
  const writing = (async () => {
    for (let connection = 2; seen === ''; connection++)
      await record(decision('new.test', 'no-rule', { connection, time: Date.now() }));
  })();
  while (!seen.includes('\n')) seen += Buffer.from((await reader.read()).value!).toString();
  await writing;
  expect(JSON.parse(seen.split('\n')[0]!)).toMatchObject({
    kind: 'decision',
    host: 'new.test',
    verdict: 'deny',
  });
  child.kill('SIGINT');
  expect(await child.exited).toBe(0);
});
