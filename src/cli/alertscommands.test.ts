/** The commands about alerts, over a store in which messages wait. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRootKnown } from '../../test/rig/owner.ts';
import { incidentOf } from '../alerts/channels/incident.fixture.ts';
import { createOutbox } from '../alerts/delivery/outbox.ts';
import { Lease } from '../alerts/engine/lease.ts';
import type { Incident, Transition } from '../alerts/incident.ts';
import { openAlertStore } from '../alerts/store.ts';
import { systemClock } from '../base/clock.ts';
import type { DecisionEvent } from '../events/event.ts';
import { openRecorder } from '../events/recorder.ts';
import { GUIDE } from '../policy/alerts/guide.fixture.ts';
import { createPerson, type Person } from './person.fixture.ts';

const leases: Lease[] = [];
let person: Person;
beforeEach(() => {
  person = createPerson();
  person.writePolicy(`version: 1\npresets: [default]\n${GUIDE}`);
});
afterEach(() => {
  for (const lease of leases.splice(0)) lease.release();
  person.leave();
});

const file = (name: string) => join(person.home, name);

/** A channel that writes what it gets, a line each, to the file `out`, and fails while there is a file `broken`. */
function configureOncall(): void {
  writeFileSync(
    file('hook'),
    `#!/bin/sh\n[ ! -e ${file('broken')} ] || { echo "out of order" >&2; exit 1; }\ncat >> ${file('out')}\n`,
  );
  chmodSync(file('hook'), 0o755);
  person.writePolicy(
    `version: 1\npresets: [default]\n${GUIDE}channels:\n  oncall: { type: command, command: [${file('hook')}] }\n`,
  );
}

const received = () =>
  readFileSync(file('out'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

function put(incident: Incident, transition: Transition = 'firing'): void {
  mkdirSync(join(person.home, 'state/clawctl'), { recursive: true });
  const path = join(person.home, 'state/clawctl/alerts.db');
  const db = openAlertStore(path);
  db.query(
    'INSERT OR REPLACE INTO incident (id, fingerprint, rule, state, since, body) VALUES (?, ?, ?, ?, ?, ?)',
  ).run(
    incident.id,
    incident.fingerprint,
    incident.rule,
    incident.state,
    incident.since,
    JSON.stringify(incident),
  );
  createOutbox(db, systemClock).put(incident, transition, incident.notify);
  // Nobody evaluates: by what is recorded, nothing fires.
  leases.push(new Lease(db, path));
  leases.at(-1)!.seek(0);
  db.close();
}

const recent = (rest: Partial<Incident> = {}) =>
  incidentOf({ since: Date.now() - 60_000, firedAt: Date.now(), notify: ['oncall'], ...rest });

describe('the alerts of the guide', () => {
  test('load as they are, and check says what is missing, in words', async () => {
    const { out, err, code } = await person.type('egress alerts check');
    expect(code).toBe(1);
    expect(out).toContain(
      'requests that were blocked within 5 minutes, counted in all, come to more than 100',
    );
    expect(out).toContain('a host that matches *.xyz, *.tk or *.ml');
    expect(err).toContain('nothing can be delivered to security@company.com yet: no channel of type email');
    expect(err).toContain("nothing can be delivered to oncall yet: no channel is named 'oncall'");
    const { missing } = await person.json('egress alerts check --json');
    expect(missing).toMatchObject([{ to: 'security@company.com' }, { to: 'oncall' }]);
  });

  test('with all that they name, check finds nothing missing', async () => {
    const channels = `channels:
  mail: { type: email, server: smtp.company.com, from: egress@company.com }
  oncall: { type: pagerduty, key: env:PAGER_KEY }
`;
    person.writePolicy(`version: 1\n${GUIDE}${channels}`);
    const { code, err } = await person.type('egress alerts check');
    expect([code, err]).toEqual([
      1,
      expect.stringContaining('channel oncall: the variable PAGER_KEY is not set'),
    ]);
    const set = await person.type('egress alerts check', { environment: { PAGER_KEY: 'k' } });
    expect(set.code).toBe(0);
  });

  test('in a file that does not parse are shown where they are wrong', async () => {
    writeFileSync(
      file('bad.yaml'),
      'version: 1\nalerts:\n- name: a\n  condition: blocked_request > 1 in 5 minutes\n',
    );
    const { code, err } = await person.type('egress alerts check bad.yaml');
    expect(code).toBe(2);
    expect(err).toMatch(/bad\.yaml:4:14: /);
    expect(err).toContain('blocked_requests');
  });

  test('are listed with what they need', async () => {
    const { items } = await person.json('egress alerts list --json');
    expect(items.find(({ name }) => name === 'suspicious_domain_attempt')).toMatchObject({
      ...{
        severity: 'critical',
        condition: 'domain matches *.xyz, *.tk, *.ml',
        state: 'ok',
        silenced_until: null,
      },
      notify: [
        { to: 'security@company.com', missing: 'no channel of type email is configured' },
        { to: 'oncall', missing: "no channel is named 'oncall'" },
      ],
    });
  });
});

describe('a message that cannot be delivered', () => {
  test.skipIf(!isRootKnown)(
    'for want of a channel is told by every command, waits, and goes when there is one',
    async () => {
      put(recent());
      for (const command of ['egress list', 'egress stats', 'egress check github.com', 'egress alerts list'])
        expect((await person.type(command)).err).toContain(
          "1 message about alerts cannot be delivered to oncall yet: no channel is named 'oncall'",
        );
      const before = await person.type('egress alerts deliver');
      expect([before.code, before.out]).toEqual([1, expect.stringContaining("no channel is named 'oncall'")]);
      configureOncall();
      const after = await person.type('egress alerts deliver');
      expect([after.code, after.err]).toEqual([0, expect.stringContaining('1 delivered')]);
      expect(received()).toMatchObject([{ type: 'alert.firing', data: { alert: 'blocked_request_spike' } }]);
      expect((await person.type('egress stats')).err).not.toContain('message');
      expect((await person.type('egress alerts deliver')).err).toContain('nothing waits');
    },
  );

  test.skipIf(!isRootKnown)('is among the records when it is', async () => {
    configureOncall();
    put(recent());
    await person.type('egress alerts deliver');
    const { items } = await person.json('egress alerts history --json');
    expect(items).toMatchObject([
      { incident: 'k7m2p9', deliveries: [{ to: 'oncall', state: 'delivered', attempts: 1 }] },
    ]);
    const { out } = await person.type('egress explain 1');
    expect(out).toContain('alert-delivered');
  });

  test.skipIf(!isRootKnown)('is tried again, and once more by hand after it was given up', async () => {
    configureOncall();
    writeFileSync(file('broken'), '');
    put(recent());
    const failed = await person.json('egress alerts deliver --channel nobody --json');
    expect(failed.items).toEqual([]);
    const tried = await person.json('egress alerts deliver --json');
    expect(tried.items).toMatchObject([
      { state: 'waiting', attempts: 1, detail: 'exit code 1: out of order' },
    ]);
    const db = openAlertStore(join(person.home, 'state/clawctl/alerts.db'));
    db.run("UPDATE delivery SET state = 'dead', ended = 0, detail = 'out of order'");
    db.close();
    expect((await person.type('egress list')).err).toContain('given up');
    const still = await person.json('egress alerts deliver --json');
    expect(still.items).toMatchObject([{ state: 'dead', detail: 'out of order' }]);
    rmSync(file('broken'));
    expect(await person.json('egress alerts deliver --retry --json')).toMatchObject({
      delivered: 1,
      items: [],
    });
    expect(received()).toHaveLength(1);
  });
});

describe('test', () => {
  test.skipIf(!isRootKnown)(
    'sends a message that is marked, to whom the alert tells, and says how it went',
    async () => {
      configureOncall();
      const { out, code } = await person.type('egress alerts test suspicious_domain_attempt');
      expect(out).toBe(
        'security@company.com\tunconfigured\tno channel of type email is configured\noncall\tdelivered\texit code 0\n',
      );
      expect(code).toBe(1);
      expect(received()).toMatchObject([{ data: { test: true, alert: 'suspicious_domain_attempt' } }]);
      expect(received()[0].data.text).toStartWith('TEST, nothing has happened: ');
      const one = await person.type('egress alerts test --channel oncall');
      expect([one.code, one.out]).toEqual([0, 'oncall\tdelivered\texit code 0\n']);
    },
  );

  test('says what is not there, and what was meant', async () => {
    configureOncall();
    const wrong = await person.type('egress alerts test blocked_request_spik');
    expect([wrong.code, wrong.err]).toEqual([
      1,
      expect.stringContaining("Did you mean 'blocked_request_spike'?"),
    ]);
    const channel = await person.type('egress alerts test --channel oncal');
    expect([channel.code, channel.err]).toEqual([1, expect.stringContaining("Did you mean 'oncall'?")]);
    expect((await person.type('egress alerts test')).code).toBe(2);
  });

  test.skipIf(!isRootKnown)('that fails says why and leaves nothing behind', async () => {
    configureOncall();
    writeFileSync(file('broken'), '');
    const { out, code } = await person.type('egress alerts test --channel oncall');
    expect([code, out]).toEqual([1, 'oncall\tfailed\texit code 1: out of order\n']);
    expect((await person.type('egress stats')).err).not.toContain('message');
  });
});

describe('ack', () => {
  test.skipIf(!isRootKnown)(
    'takes an incident on by the beginning of its code, once, and tells those who were told',
    async () => {
      configureOncall();
      put(recent({ id: 'k7m2p9' }));
      const { err, code } = await person.type('egress alerts ack k7');
      expect([code, err]).toEqual([0, expect.stringContaining('(k7m2p9) is taken on by')]);
      expect(received().map(({ type }) => type)).toEqual(['alert.firing', 'alert.acknowledged']);
      expect((await person.type('egress alerts ack k7m2p9')).err).toContain('was taken on already');
      expect(received()).toHaveLength(2);
      expect((await person.json('egress alerts history --json')).items).toMatchObject([
        { acknowledged: { by: expect.any(String) } },
      ]);
    },
  );

  test('wants to know which', async () => {
    put(recent({ id: 'aa1' }));
    put(recent({ id: 'aa2' }));
    expect((await person.type('egress alerts ack aa')).err).toContain('More than one');
    expect((await person.type('egress alerts ack zz')).code).toBe(1);
  });
});

describe('replay', () => {
  const HOUR = 3_600_000;
  const refused = (host: string, ago: number, connection: number): DecisionEvent => ({
    ...{ kind: 'decision', time: Date.now() - ago, agent: 'curl', session: 's', connection, protocol: 'tcp' },
    ...{ host, port: 443, verdict: 'deny', reason: 'no-rule', rule: null, wouldDeny: false },
  });

  test('shows what would have fired, once for each cool-down, and changes nothing', async () => {
    const recorder = openRecorder({ store: join(person.home, 'state/clawctl/egress.db') });
    const many = (count: number, ago: number, first: number) =>
      Array.from({ length: count }, (_, n) => refused(`a${first + n}.test`, ago - n, first + n));
    const rows = [
      refused('x.tk', 50 * HOUR, 0),
      ...many(101, 30 * HOUR, 1),
      ...many(100, 20 * HOUR, 201),
      ...many(150, 10 * HOUR, 401),
    ];
    await Promise.all(rows.map((row) => recorder.decide(row)));
    await recorder.close();
    const before = await person.json('egress stats --last 7d --json');
    const { items } = await person.json('egress alerts replay --last 7d --json');
    const ours = items.filter(({ alert }) =>
      ['blocked_request_spike', 'suspicious_domain_attempt'].includes(String(alert)),
    );
    expect(ours).toMatchObject([
      {
        alert: 'suspicious_domain_attempt',
        state: 'resolved',
        count: 1,
        hosts: [{ host: 'x.tk' }],
        told: true,
      },
      { alert: 'blocked_request_spike', state: 'resolved', count: 101, told: true },
      { alert: 'blocked_request_spike', state: 'resolved', told: true },
    ]);
    const one = await person.type('egress alerts replay suspicious_domain_attempt --last 7d');
    expect(one.out.trim().split('\n')).toHaveLength(1);
    expect(one.err).toContain('1 would have fired, and 1 would have sent a message.');
    expect((await person.type('egress alerts replay --last 1h')).err).toContain('nothing would have fired');
    expect(existsSync(join(person.home, 'state/clawctl/alerts.db'))).toBe(false);
    expect(await person.json('egress stats --last 7d --json')).toMatchObject({ requests: before.requests });
  });
});

test('a name as our messages write it is understood', async () => {
  expect((await person.type(['egress', 'add', 'evil[.]test'])).code).toBe(0);
  expect((await person.type(['egress', 'check', 'evil[.]test'])).code).toBe(0);
  expect((await person.type('egress list')).out).toContain('evil.test\t');
});
