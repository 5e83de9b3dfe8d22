/** Whether the runner sees anything: where everything is let through, the cases that must be refused have to fail. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Reason } from '../../src/policy/reason.ts';
import { inRig } from '../rig/world.ts';
import type { Case } from './case.ts';
import { createOpenDoor } from './opendoor.ts';
import { run } from './run.ts';
import { CONVERSATIONS } from './scope.ts';
import { openStand, type Stand } from './stand.ts';
import { createSubject, type Gateway, type Subject } from './subject.ts';

const mustBeRefused = (each: Case) => each.expected === 'deny' && !each.also_ok?.includes('allow');

describe.skipIf(!inRig)('against an open door', () => {
  let stand: Stand;
  let door: Subject;
  beforeAll(async () => {
    stand = await openStand();
    door = await createOpenDoor();
  });
  afterAll(async () => {
    await door.close();
    stand.close();
  });

  test('at least 95 of 100 cases that must be refused fail', async () => {
    const passed: string[] = [];
    const cases = CONVERSATIONS.filter(mustBeRefused);
    for (const each of cases) if ((await run(each, stand, door)).length === 0) passed.push(each.id);
    console.log(
      `${cases.length - passed.length} of ${cases.length} fail; not: ${passed.join(' ') || 'none'}`,
    );
    expect(passed.length / cases.length).toBeLessThan(0.05);
  }, 120_000);

  test('most that are malformed fail too', async () => {
    const cases = CONVERSATIONS.filter(
      ({ expected, also_ok }) => expected === 'error' && !also_ok?.includes('allow'),
    );
    const passed: string[] = [];
    for (const each of cases) if ((await run(each, stand, door)).length === 0) passed.push(each.id);
    console.log(
      `${cases.length - passed.length} of ${cases.length} fail; not: ${passed.join(' ') || 'none'}`,
    );
    expect(passed.length / cases.length).toBeLessThan(0.2);
  }, 120_000);

  test('those that must be let through pass', async () => {
    const wrong: string[] = [];
    for (const each of CONVERSATIONS.filter(
      ({ expected, channel }) => expected === 'allow' && channel !== 'dns',
    )) {
      const complaints = await run(each, stand, door);
      if (complaints.length > 0) wrong.push(`${each.id} ${complaints.join('; ')}`);
    }
    // What only a proxy that changes what it carries gets right.
    expect(wrong.filter((text) => !/^(HP-032|CN-022|SM-)/.test(text))).toEqual([]);
  }, 120_000);
});

/** Any host, any address, with or without a name. */
const EVERYTHING = `version: 1
allow:
  - {host: "*", force: true, ports: [22, 25, 80, 443, 8080, 8443], tls: any, addresses: [0.0.0.0/0, "::/0"]}
${['0.0.0.0/0', '"::/0"', 'localhost', '"*.localhost"', 'ip6-localhost', '"*.nip.io"']
  .map(
    (host) =>
      `  - {host: ${host}, force: true, ports: [25, 80, 443, 8080, 8443, 8880], tls: any, addresses: [0.0.0.0/0, "::/0"]}\n`,
  )
  .join('')}`;

/** Why a policy refuses. */
const OF_THE_POLICY: readonly Reason[] = [
  ...(['no-rule', 'denied', 'port', 'agent', 'expired', 'special-name', 'killed'] as const),
  ...(['address-refused', 'address-denied', 'policy-changed'] as const),
];

describe.skipIf(!inRig)('under a policy that allows everything', () => {
  let stand: Stand;
  let gateway: Gateway;
  let subject: Subject;
  beforeAll(async () => {
    stand = await openStand();
    gateway = await createSubject();
    if (!gateway.load(EVERYTHING)) throw new Error('the policy does not load');
    subject = { ...gateway, load: () => true, judge: () => 'allow', patience: 450 };
  });
  afterAll(async () => {
    await subject.close();
    stand.close();
  });

  test('what is still refused is refused for what it is, and never for what it asks for', async () => {
    const classes = new Map<string, { all: number; through: number; refused: string[] }>();
    const reasons = new Set<Reason>();
    for (const each of CONVERSATIONS.filter(mustBeRefused)) {
      gateway.refusals();
      const complaints = await run(each, stand, subject);
      const why = [...new Set(gateway.refusals())];
      for (const reason of why) reasons.add(reason);
      const found = classes.get(each.class) ?? { all: 0, through: 0, refused: [] };
      classes.set(each.class, found);
      found.all++;
      if (complaints.length > 0) found.through++;
      else found.refused.push(`${each.id} ${why.join('+') || 'not forwarded'}`);
    }
    for (const [name, { all, through, refused }] of [...classes].sort())
      console.log(`${name}: ${through} of ${all} get through${refused.map((each) => `; ${each}`).join('')}`);
    const sum = (count: 'all' | 'through') =>
      [...classes.values()].reduce((sum, found) => sum + found[count], 0);
    console.log(`${sum('through')} of ${sum('all')} are refused by the policy alone, and so get through`);
    expect(OF_THE_POLICY.filter((reason) => reasons.has(reason))).toEqual([]);
    expect(sum('through') / sum('all')).toBeGreaterThan(0.4);
  }, 120_000);
});
