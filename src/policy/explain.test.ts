import { describe, expect, test } from 'bun:test';
import { explain } from './explain.ts';
import { AT, policyOf, targetOf } from './policy.fixture.ts';

const policy = policyOf(`
presets: [default]
allow:
  - api.example.com
  - "*.wide.example.com"
  - host: db.example.com
    ports: [5432]
    agents: [ann]
    addresses: [10.0.0.0/8]
  - 10.0.0.9
  - host: old.example.com
    until: 2025-01-01T00:00:00Z
deny:
  - gist.example.com
agents:
  alone: { inherit: false }
hosts:
  db.example.com: 10.1.2.3
  api.example.com: 10.1.2.4
`);
const explained = (host: string, port?: number, agent?: string) =>
  explain(policy, targetOf(host, port, agent), AT);
const commandFor = (host: string, port?: number, agent?: string) =>
  explained(host, port, agent).change.command;

describe('an explanation', () => {
  test('goes through all five hops of what is allowed', () => {
    const { verdict, rule, hops, nearMisses } = explained('db.example.com', 5432, 'ann');
    expect(verdict).toBe('allow');
    expect(rule!.host).toBe('db.example.com');
    expect(hops.map(({ name, text }) => `${name}: ${text}`)).toEqual([
      'accept: agent ann',
      'target: name db.example.com:5432',
      'decide: allowed: allow db.example.com (0.yaml:6)',
      'dial: connects to 10.1.2.3',
      'relay: any protocol; where TLS or HTTP is spoken its name must be db.example.com',
    ]);
    expect(nearMisses).toEqual([]);
  });

  test('says what a rule and an agent may use up', () => {
    const policy = policyOf(`
allow: [{host: a.example.com, ports: [80, 443], upgrade: [websocket], limits: {bytes_up: 5 MB/day}}]
agents: {bot: {from: [10.2.0.0/16], limits: {bytes_up: 1 GiB/day}}}
`);
    const { hops } = explain(policy, targetOf('a.example.com', 80), AT);
    expect(hops[0]!.text).toBe('agent bot; known by coming from 10.2.0.0/16; at most 1 GiB/day up');
    expect(hops[4]!.text).toBe(
      'HTTP: the Host of every request must be a.example.com; 5 MB/day up, upgrade to websocket',
    );
  });

  test('stops at the hop that refuses', () => {
    const { verdict, reason, hops } = explained('gist.example.com');
    expect([verdict, reason]).toEqual(['deny', 'denied']);
    expect(hops.map(({ text }) => text).slice(2)).toEqual([
      'refused, a deny rule refuses it: deny gist.example.com (0.yaml:14)',
      'not reached',
      'not reached',
    ]);
  });

  test('judges addresses that are known without asking', () => {
    for (const host of ['10.0.0.9', 'api.example.com'])
      expect(explained(host)).toMatchObject({ verdict: 'deny', reason: 'address-refused' });
    expect(explained('x.wide.example.com').hops[3]!.text).toBe(
      'resolves x.wide.example.com by system and admits public addresses',
    );
  });

  test('names the rules that nearly held', () => {
    const near = (host: string, port?: number, agent?: string) =>
      explained(host, port, agent).nearMisses.map(({ rule, why }) => `${rule.host}: ${why}`);
    expect(near('wide.example.com')).toEqual([
      '*.wide.example.com: it covers names below wide.example.com, not wide.example.com',
    ]);
    expect(near('v1.github.com')).toEqual(['github.com: it covers github.com alone, not names below it']);
    expect(near('db.example.com', 5432)).toEqual(['db.example.com: it is for ann']);
    expect(near('old.example.com')).toEqual(['old.example.com: it ended 2025-01-01T00:00:00.000Z']);
    expect(near('github.com', 22)).toEqual(['github.com: it is for port 80, 443']);
    expect(near('github.com', 443, 'alone')).toEqual(['github.com: alone inherits no rules']);
  });
});

describe('the smallest change', () => {
  test('is the command that allows just this', () => {
    expect(commandFor('new.example.com')).toBe('clawctl egress add new.example.com');
    expect(commandFor('new.example.com', 22)).toBe('clawctl egress add new.example.com --port 22');
    expect(commandFor('github.com', 443, 'alone')).toBe('clawctl egress add github.com --agent alone');
    expect(commandFor('new.example.com', 443, 'alone')).toBe(
      'clawctl egress add new.example.com --agent alone',
    );
    expect(commandFor('old.example.com')).toBe('clawctl egress add old.example.com');
    expect(commandFor('[2001:db8::1:443]')).toBe("clawctl egress add '[2001:db8::1:443]'");
  });

  test('is the command that refuses it again, or the denial to write', () => {
    const lone = policyOf('allow: [api.example.com]');
    expect(explain(lone, targetOf('api.example.com'), AT).change.command).toBe(
      'clawctl egress remove api.example.com',
    );
    expect(explained('x.wide.example.com').change.text).toBe(
      'In /files/0.yaml, under deny: write - "x.wide.example.com".',
    );
    expect(explained('github.com').change.text).toContain('under deny: write - "github.com"');
  });

  test('is a place in a file where a denial or an address stands in the way', () => {
    expect(explained('gist.example.com').change).toMatchObject({
      command: null,
      edit: { file: '/files/0.yaml', line: 14 },
    });
    expect(explained('10.0.0.9').change.text).toBe(
      'Give the rule at /files/0.yaml:10 addresses: ["10.0.0.9"].',
    );
    expect(explained('10.0.0.10').change.text).toBe(
      'In /files/0.yaml, under allow: write - { host: "10.0.0.10", ports: [443], addresses: ["10.0.0.10"] }.',
    );
  });

  test('is no rule for an IPv4-mapped address, which no file may name', () => {
    const { command, edit, text } = explained('[::ffff:203.0.113.7]').change;
    expect([command, edit]).toEqual([null, null]);
    expect(text).toContain('ask for 203.0.113.7');
  });

  test('is nothing that this person could do where a file above forbids it', () => {
    const below = policyOf('locked: true\ndeny: [a.example.com]', 'allow: [b.example.com]');
    const change = (host: string) => explain(below, targetOf(host), AT).change;
    expect(change('b.example.com')).toMatchObject({ command: null, edit: null });
    expect(change('b.example.com').text).toContain('/files/0.yaml is locked');
    expect(change('a.example.com').text).toContain('its owner can');
    const killed = explain(below, targetOf('b.example.com'), { ...AT, killed: true });
    expect(killed.change.text).toBe('clawctl egress resume');
  });

  test('does what it says, as far as it is a rule', () => {
    for (const [host, port, agent] of [
      ['new.example.com', 443, 'bot'],
      ['new.example.com', 22, 'bot'],
      ['github.com', 443, 'alone'],
      ['v1.github.com', 8080, 'alone'],
    ] as const) {
      const [, , , name, ...options] = commandFor(host, port, agent)!.split(' ');
      const ports = options.includes('--port') ? [port] : [80, 443];
      const rule = `{ host: ${name}, ports: [${ports}] }`;
      const section = options.includes('--agent')
        ? `{ inherit: false, allow: [${rule}] }`
        : '{ inherit: false }';
      const allow = options.includes('--agent') ? '[]' : `[${rule}]`;
      const changed = policyOf(`allow: ${allow}\nagents: { alone: ${section} }`);
      expect(explain(changed, targetOf(host, port, agent), AT).verdict).toBe('allow');
    }
  });
});
