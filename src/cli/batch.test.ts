import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { compile } from '../policy/compile.ts';
import { readDocument } from '../policy/document.ts';
import { answerLines } from './batch.ts';

const read = readDocument('version: 1\nallow: [a.test, "*.b.test"]\ndeny: [x.b.test]\n', 'p.yaml');
if (!read.ok) throw new Error('the policy of this test is broken');
const policy = compile([read.document]);
const at = () => ({ now: 0, killed: false, grants: [] });

interface Answer {
  schema: string;
  verdict: string;
  reason: string;
  host: string | null;
  port: number | null;
  rule: object | null;
  lookalike_of: string | null;
}

/** Feeds the chunks and gives back what was printed, parsed. */
async function answers(...chunks: (string | Uint8Array)[]): Promise<Answer[]> {
  const printed: string[] = [];
  const input = (async function* () {
    for (const chunk of chunks) yield Buffer.from(chunk as string);
  })();
  await answerLines(input, {
    policy,
    at,
    agent: 'cli',
    print: (lines) => printed.push(...lines.split('\n')),
  });
  return printed.map((line) => JSON.parse(line) as Answer);
}

const asked = (question: object) => `${JSON.stringify(question)}\n`;

describe('a batch', () => {
  test('answers one line a line, in order', async () => {
    const hosts = ['a.test', 'evil.test', 'y.b.test', 'x.b.test', 'b.test'];
    const found = await answers(hosts.map((host) => asked({ host })).join(''));
    expect(found.map((each) => each.verdict)).toEqual(['allow', 'deny', 'allow', 'deny', 'deny']);
    expect(found.map((each) => each.host)).toEqual(hosts);
    expect(found[0]).toMatchObject({ schema: 'clawctl.egress.check/v1', reason: 'rule', port: 443 });
  });

  test('says which allowed host a refused one imitates', async () => {
    const hosts = [
      'a.test',
      'a.test.evil.io',
      'a-test.evil.io',
      'z.b.test',
      'other.example',
      '203.0.113.7',
      'x y',
    ];
    const found = await answers(hosts.map((host) => asked({ host })).join(''));
    expect(found.map((each) => each.lookalike_of)).toEqual([
      null,
      'a.test',
      'a.test',
      null,
      null,
      null,
      null,
    ]);
  });

  test.each([
    ['', 'malformed-host'],
    ['no json', 'malformed-host'],
    ['null', 'malformed-host'],
    ['[]', 'malformed-host'],
    ['{}', 'malformed-host'],
    ['{"host":7}', 'malformed-host'],
    ['{"host":"a.test/../"}', 'malformed-host'],
    ['{"host":"a.test\\u0000.evil.test"}', 'malformed-host'],
    ['{"host":"a.test","port":"443"}', 'malformed-port'],
    ['{"host":"a.test","port":0}', 'malformed-port'],
    ['{"host":"a.test","port":1e999}', 'malformed-port'],
    ['{"host":"a.test","port":443.5}', 'malformed-port'],
    ['{"host":"a.test","agent":{}}', 'agent'],
  ])('denies %p', async (line, reason) => {
    const [answer, ...rest] = await answers(`${line}\n`);
    expect(answer).toMatchObject({ verdict: 'deny', reason, rule: null, would_deny: false });
    expect(rest).toEqual([]);
  });

  test('skips a line that is too long to be about a host, and goes on', async () => {
    const long = asked({ host: 'a.test', x: 'y'.repeat(100_000) });
    const found = await answers(long.slice(0, 70_000), long.slice(70_000) + asked({ host: 'a.test' }));
    expect(found.map((each) => each.verdict)).toEqual(['deny', 'allow']);
  });

  test('takes a last line without an end, and none for no bytes', async () => {
    expect(await answers('{"host":"a.test"}')).toHaveLength(1);
    expect(await answers()).toEqual([]);
  });

  test('gives the same answers however the bytes are split', async () => {
    const text = Buffer.from(asked({ host: 'a.test' }) + asked({ host: 'ü' }) + asked({ port: 1 }));
    const whole = await answers(text);
    for (let at = 0; at <= text.length; at++)
      expect(await answers(text.subarray(0, at), text.subarray(at))).toEqual(whole);
  });

  test('answers anything, and prints ASCII alone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 })), async (lines) => {
        const clean = lines.map((line) => line.filter((octet) => octet !== 10));
        const found = await answers(Buffer.concat(clean.flatMap((line) => [line, Uint8Array.of(10)])));
        expect(found).toHaveLength(clean.length);
        for (const each of found) expect(each.verdict).toBe('deny');
      }),
    );
  });
});
