/** The policy changes while programs run: what it forbids is cut off, what it still allows is not touched. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { blockedOf } from './rig/converse.ts';
import { hashOfStream } from './rig/origins.ts';
import { openWitness, until, type Witness } from './rig/witness.ts';
import { finish, inRig, openWorld, type World } from './rig/world.ts';

const FIRST = '203.0.113.26';
const SECOND = '203.0.113.27';
const PORT = 2525;
const SIZE = 64 << 20;

const rule = (host: string, more = '') => `  - {host: ${host}, ports: [${PORT}]${more}}\n`;
const BOTH = `version: 1\nallow:\n${rule('first.test')}${rule('second.test')}`;
const ONLY_SECOND = `version: 1\nallow:\n${rule('second.test')}`;

/**
 * Opens a connection to each name and greets, then says for each line of input: \`open NAME\`, \`state\`, \`end\`.
 * A connection is \`up\` while the echo of what is sent to it comes back.
 */
const CLIENT = `
import select, socket, sys, time
held = {}
def open_(name):
  try:
    s = socket.create_connection((name, ${PORT}), 3); s.settimeout(3); s.sendall(b"hi\\n")
    return s if s.recv(100) else None
  except OSError: return None
def up(s):
  if s is None: return False
  try: s.sendall(b"hi\\n"); return len(s.recv(100)) > 0
  except OSError: return False
for name in sys.argv[1:]: held[name] = open_(name)
print("ready", *[s is not None for s in held.values()], flush=True)
for line in sys.stdin:
  words = line.split()
  if words[0] == "state": print(*[up(s) for s in held.values()], flush=True)
  elif words[0] == "open": s = open_(words[1]); print(s is not None, flush=True)
  elif words[0] == "gone":
    began = time.monotonic(); s = held[words[1]]; s.settimeout(5)
    try: end = "closed" if s.recv(100) == b"" else "data"
    except ConnectionResetError: end = "reset"
    except OSError as e: end = str(e)
    print(end, flush=True)
`;

/** In one step, as an editor does: a fence that starts meanwhile sees the one or the other. */
function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

describe.skipIf(!inRig)('while a program runs', () => {
  let world: World;
  let witnesses: Witness[];
  beforeAll(async () => {
    world = await openWorld();
    witnesses = [FIRST, SECOND].map((address) => openWitness(address, PORT, () => 'hi\n'));
    world.nameServer.names.set('first.test', [FIRST]);
    world.nameServer.names.set('second.test', [SECOND]);
  });
  beforeEach(() => {
    for (const witness of witnesses) witness.forget();
  });
  afterAll(() => {
    for (const witness of witnesses) witness.close();
    world.close();
  });

  let agents = 0;
  /** A fence with the client above in it, a file of its own as policy, and connections to both names. */
  async function fence(policy: string, agent = `agent-${++agents}`, names = ['first.test', 'second.test']) {
    const file = join(world.folder, `live-${agent}.yaml`);
    writeFileSync(file, policy);
    const child = Bun.spawn(
      [
        join(import.meta.dir, '../clawctl'),
        'egress',
        'run',
        '--policy',
        file,
        '--agent',
        agent,
        '--',
        'python3',
        '-c',
        CLIENT,
        ...names,
      ],
      { cwd: world.workspace, env: world.environment, stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' },
    );
    let heard = '';
    const reader = child.stdout.getReader();
    const line = async () => {
      while (!heard.includes('\n')) {
        const { value, done } = await reader.read();
        if (done) throw new Error('the client has ended');
        heard += new TextDecoder().decode(value);
      }
      const [first] = heard.split('\n', 1);
      heard = heard.slice(first!.length + 1);
      return first!;
    };
    const say = async (text: string) => {
      child.stdin.write(`${text}\n`);
      return line();
    };
    let told = '';
    const telling = (async () => {
      for await (const piece of child.stderr) told += new TextDecoder().decode(piece);
    })();
    const write = (text: string) => replace(file, text);
    const end = async () => {
      child.stdin.end();
      await child.exited;
      await telling;
      return told;
    };
    return { agent, file, line, say, write, end, stderr: () => told };
  }

  const within = async (milliseconds: number, act: () => Promise<unknown>) => {
    const began = performance.now();
    const result = await act();
    expect(performance.now() - began).toBeLessThan(milliseconds);
    return result;
  };

  for (const [title, policy] of [
    ['removed', ONLY_SECOND],
    ['narrowed to another port', `${ONLY_SECOND}  - first.test\n`],
    ['narrowed to another agent', `${ONLY_SECOND}${rule('first.test', ', agents: [other]')}`],
    ['ended', `${ONLY_SECOND}${rule('first.test', ', until: 2020-01-01T00:00:00Z')}`],
    ['overruled by a denial', `${BOTH}deny: [first.test]\n`],
    ['overruled by a denial of its address', `${BOTH}deny: [${FIRST}]\n`],
  ] as const)
    test(`a rule that is ${title} resets its connections within a second, and no others`, async () => {
      const { agent, line, say, write, end } = await fence(BOTH);
      expect(await line()).toBe('ready True True');
      write(policy);
      expect(await within(1_300, () => say('gone first.test'))).toBe('reset');
      expect(await say('open first.test')).toBe('False');
      expect(await say('open second.test')).toBe('True');
      expect(await say('state')).toBe('False True');
      write(BOTH);
      expect(await until(async () => (await say('open first.test')) === 'True', 2_000)).toBe(true);
      await end();
      expect((await blockedOf(world, agent)).every(({ host }) => host === 'first.test')).toBe(true);
    });

  test('a rule that comes to its end resets its connections by itself', async () => {
    const ends = new Date(Date.now() + 2_500);
    const { line, say, end } = await fence(
      `${ONLY_SECOND}${rule('first.test', `, until: ${ends.toISOString()}`)}`,
    );
    expect(await line()).toBe('ready True True');
    expect(await say('gone first.test')).toBe('reset');
    expect(Math.abs(Date.now() - ends.getTime())).toBeLessThan(1_300);
    expect(await say('state')).toBe('False True');
    await end();
  });

  for (const [title, damage] of [
    ['does not parse', (file: string) => writeFileSync(file, 'version: 1\nallow: [evil.test')],
    ['is empty', (file: string) => writeFileSync(file, '')],
    ['is gone', (file: string) => rmSync(file)],
    [
      'became a folder',
      (file: string) => {
        rmSync(file);
        mkdirSync(file);
      },
    ],
  ] as const)
    test(`a policy file that ${title} changes nothing, and is told`, async () => {
      const { file, line, say, write, end, stderr } = await fence(ONLY_SECOND);
      expect(await line()).toBe('ready False True');
      damage(file);
      expect(await until(() => stderr().includes(file))).toBe(true);
      expect(await say('state')).toBe('False True');
      expect(await say('open first.test')).toBe('False');
      expect(await say('open second.test')).toBe('True');
      rmSync(file, { recursive: true, force: true });
      write(BOTH);
      expect(await until(async () => (await say('open first.test')) === 'True', 2_000)).toBe(true);
      await end();
    });

  test('a rule for one agent is no rule for another', async () => {
    const policy = `version: 1\nagents:\n  mine:\n    allow:\n    ${rule('first.test')}  other:\n    inherit: false\nallow:\n${rule('second.test')}`;
    for (const [agent, ready] of [
      ['mine', 'True True'],
      ['other', 'False False'],
      ['third', 'False True'],
      ['min', 'False True'],
    ] as const) {
      const { line, end } = await fence(policy, agent);
      expect([agent, await line()]).toEqual([agent, `ready ${ready}`]);
      await end();
    }
    expect((await blockedOf(world, 'third'))[0]).toMatchObject({ host: 'first.test', reason: 'agent' });
  });

  test('a storm of changes cuts no allowed connection, lets no other through, and the last word holds', async () => {
    const { line, say, write, end } = await fence(BOTH);
    expect(await line()).toBe('ready True True');
    const evil = world.sink.arrivals.length;
    const ending = performance.now() + 3_000;
    const storm = (async () => {
      for (let i = 0; performance.now() < ending; i++) {
        write(i % 2 === 0 ? ONLY_SECOND : BOTH);
        await Bun.sleep(i % 7);
      }
      write(ONLY_SECOND);
    })();
    while (performance.now() < ending) {
      expect((await say('state')).split(' ')[1]).toBe('True');
      expect(await say('open evil.test')).toBe('False');
    }
    await storm;
    expect(await until(async () => (await say('open first.test')) === 'False', 2_000)).toBe(true);
    expect(await say('state')).toBe('False True');
    expect(world.sink.arrivals).toHaveLength(evil);
    await end();
  }, 20_000);

  test('a download goes on to the last octet while other rules come and go, and an upload stops in the middle', async () => {
    const policy = (more: string) => `version: 1\nallow: [allowed.test${more}]\n`;
    const file = join(world.folder, 'download.yaml');
    replace(file, policy(''));
    const flags = ['run', '--policy', file, '--agent', 'download', '--', 'sh', '-c'];
    const run = (script: string) =>
      Bun.spawn([join(import.meta.dir, '../clawctl'), 'egress', ...flags, script], {
        cwd: world.workspace,
        env: world.environment,
        stdin: 'pipe',
        stdout: 'pipe',
        stderr: 'pipe',
      });
    const down = run(`curl -sS --limit-rate 32M http://allowed.test/bytes/${SIZE} | sha256sum`);
    const changing = setInterval(
      () => replace(file, policy(Math.random() < 0.5 ? ', other.test' : ', evil.test')),
      100,
    );
    const done = await finish(down);
    clearInterval(changing);
    expect(done.stdout.slice(0, 64)).toBe(hashOfStream(SIZE));

    replace(file, policy(''));
    const requests = world.origins.hosts.length;
    const up = run(
      'head -c 1G /dev/zero | curl -sS -m 20 --limit-rate 4M -H Expect: -T - http://allowed.test/hash; echo "ended $?"',
    );
    expect(await until(() => world.origins.hosts.length > requests)).toBe(true);
    replace(file, 'version: 1\nallow: [other.test]\n');
    const cut = await finish(up);
    expect(cut.stdout).toMatch(/^ended (?!0)\d+\n$/);
  }, 20_000);
});
