import { afterEach, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Failure } from '../base/failure.ts';
import { temporaryFolder } from './folder.fixture.ts';
import { addToken, removeToken, rotateToken } from './tokenedit.ts';
import { digestOf, readTokens, type Tokens, watchTokens } from './tokens.ts';

const NOW = Date.UTC(2026, 0, 1);
const isRoot = process.getuid!() === 0;

let place = temporaryFolder();
const file = () => join(place.folder, 'clawctl', 'agents.json');
afterEach(() => {
  place[Symbol.dispose]();
  place = temporaryFolder();
});

/** The code of the Failure and what it says. */
function failureOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    const { code, message, fix } = error as Failure;
    return `${code}: ${message} ${fix ?? ''}`;
  }
  return 'no failure';
}

function put(text: string, mode = 0o600): void {
  mkdirSync(dirname(file()), { recursive: true });
  writeFileSync(file(), text);
  chmodSync(file(), mode);
}

describe('a token', () => {
  test('is 32 random octets, stored as a digest alone, in a file for its owner alone', () => {
    const token = addToken(file(), 'bot', NOW);
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
    const text = readFileSync(file(), 'utf8');
    expect(text).not.toContain(token);
    expect(JSON.parse(text)).toEqual({
      version: 1,
      agents: {
        bot: { sha256: Buffer.from(digestOf(token)).toString('hex'), created: '2026-01-01T00:00:00.000Z' },
      },
    });
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(file())).mode & 0o777).toBe(0o700);
    expect(readTokens(file()).get('bot')).toEqual({ digest: digestOf(token), created: NOW });
    expect(addToken(file(), 'other', NOW)).not.toBe(token);
  });

  test('is not given twice, but changed or taken back', () => {
    const first = addToken(file(), 'bot', NOW);
    expect(failureOf(() => addToken(file(), 'bot', NOW))).toContain('agents rotate bot');
    expect(readTokens(file()).get('bot')!.digest).toEqual(digestOf(first));
    const second = rotateToken(file(), 'bot', NOW + 1);
    expect(second).not.toBe(first);
    expect(readTokens(file()).get('bot')).toEqual({ digest: digestOf(second), created: NOW + 1 });
    removeToken(file(), 'bot');
    expect(readTokens(file()).size).toBe(0);
  });

  test('of nobody cannot be changed or taken back', () => {
    expect(failureOf(() => removeToken(file(), 'bot'))).toBe(
      'not-found: bot has no token For one: clawctl egress agents add bot',
    );
    addToken(file(), 'support-bot', NOW);
    expect(failureOf(() => rotateToken(file(), 'suport-bot', NOW))).toContain("Did you mean 'support-bot'?");
    expect(failureOf(() => addToken(file(), '../x', NOW))).toContain('is not the name of an agent');
  });

  test('of many agents at once is not lost', async () => {
    const script = `import { addToken } from ${JSON.stringify(join(import.meta.dir, 'tokenedit.ts'))};
      for (let i = 0; i < 5; i++) addToken(process.argv[1], process.argv[2] + i, 0);`;
    const writers = ['a', 'b', 'c', 'd'].map((name) =>
      Bun.spawn([process.execPath, '-e', script, file(), name], { stderr: 'inherit' }),
    );
    await Promise.all(writers.map((writer) => writer.exited));
    expect(readTokens(file()).size).toBe(20);
  });
});

describe('a file of tokens', () => {
  test('that is not there holds none', () => {
    expect(readTokens(file()).size).toBe(0);
  });

  const digest = 'ab'.repeat(32);
  const created = '2026-01-01T00:00:00.000Z';
  for (const [title, text] of [
    ['empty', ''],
    ['cut off', '{"version":1,"agents":{'],
    ['null', 'null'],
    ['of another version', '{"version":2,"agents":{}}'],
    ['with an unknown key', '{"version":1,"agents":{},"x":1}'],
    ['with a list', '{"version":1,"agents":[]}'],
    ['with a bad name', JSON.stringify({ version: 1, agents: { '../x': { sha256: digest, created } } })],
    [
      'with a prototype',
      `{"version":1,"agents":{"__proto__":{"sha256":"${digest}","created":"${created}"}}}`,
    ],
    ['with a short digest', JSON.stringify({ version: 1, agents: { a: { sha256: 'ab', created } } })],
    ['with a token in the clear', JSON.stringify({ version: 1, agents: { a: { token: 'x', created } } })],
    ['without time', JSON.stringify({ version: 1, agents: { a: { sha256: digest, created: 'soon' } } })],
  ] as const)
    test(`that is damaged lets nobody in, and is not written over: ${title}`, () => {
      put(text);
      expect(failureOf(() => readTokens(file()))).toContain('tokens-broken');
      expect(failureOf(() => addToken(file(), 'bot', NOW))).toContain('tokens-broken');
      expect(readFileSync(file(), 'utf8')).toBe(text);
    });

  test('that others may write, or that is no file, lets nobody in', () => {
    addToken(file(), 'bot', NOW);
    for (const mode of [0o620, 0o602, 0o666]) {
      chmodSync(file(), mode);
      expect(failureOf(() => readTokens(file()))).toContain('others may write it');
    }
    rmSync(file());
    mkdirSync(file());
    expect(failureOf(() => readTokens(file()))).toContain('tokens-broken');
  });

  test.if(isRoot)('of another user lets nobody in', () => {
    addToken(file(), 'bot', NOW);
    chownSync(file(), 12_345, 12_345);
    expect(failureOf(() => readTokens(file()))).toContain('belongs to another user');
  });

  test('becomes private again with the next change', () => {
    addToken(file(), 'bot', NOW);
    chmodSync(file(), 0o644);
    rotateToken(file(), 'bot', NOW);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
  });

  test('is not written through a link to nothing', () => {
    mkdirSync(dirname(file()));
    symlinkSync('/nonexistent/agents.json', file());
    expect(failureOf(() => addToken(file(), 'bot', NOW))).toContain('tokens-unwritable');
  });
});

describe('watching', () => {
  /** Resolves with what comes next, and how long it took. */
  function watched() {
    let arrived = Promise.withResolvers<Tokens | Failure>();
    const tell = (what: Tokens | Failure) => {
      arrived.resolve(what);
      arrived = Promise.withResolvers();
    };
    const watch = watchTokens(file(), tell, tell);
    return { ...watch, next: () => arrived.promise, [Symbol.dispose]: () => watch.close() };
  }

  test('tells of every change within a second', async () => {
    using watch = watched();
    expect(watch.tokens().size).toBe(0);
    for (const [act, size] of [
      [() => addToken(file(), 'bot', NOW), 1],
      [() => rotateToken(file(), 'bot', NOW), 1],
      [() => removeToken(file(), 'bot'), 0],
      [() => addToken(file(), 'bot', NOW), 1],
      [() => rmSync(file()), 0],
    ] as const) {
      const before = watch.tokens().get('bot')?.digest;
      const start = performance.now();
      act();
      expect(((await watch.next()) as Tokens).size).toBe(size);
      expect(performance.now() - start).toBeLessThan(1_000);
      expect(watch.tokens().size).toBe(size);
      if (before !== undefined) expect(watch.tokens().get('bot')?.digest).not.toEqual(before);
    }
  });

  test('holds no tokens while the file is damaged, also where it was when it began', async () => {
    addToken(file(), 'bot', NOW);
    const good = readFileSync(file(), 'utf8');
    put('{');
    using watch = watched();
    expect(((await watch.next()) as Failure).code).toBe('tokens-broken');
    put(good);
    expect(((await watch.next()) as Tokens).size).toBe(1);
    put(good.slice(0, -5));
    expect(((await watch.next()) as Failure).code).toBe('tokens-broken');
    expect(watch.tokens().size).toBe(0);
    put(good);
    expect(((await watch.next()) as Tokens).size).toBe(1);
  });
});
