import { describe, expect, test } from 'bun:test';
import { createTeller } from './teller.ts';

const refused = (host: string) => ({
  time: 0,
  agent: 'a',
  host,
  port: 443,
  reason: 'no-rule' as const,
  detail: null,
  suggestion: `clawctl egress add ${host}`,
});

function teller(
  options: { held?: () => boolean; stuck?: boolean; json?: boolean; policyFile?: string } = {},
) {
  const written: string[] = [];
  const result = createTeller({
    json: options.json ?? false,
    policyFile: options.policyFile ?? null,
    isHeld: options.held ?? (() => false),
    write(text, done) {
      written.push(text);
      if (options.stuck !== true) queueMicrotask(done);
    },
  });
  return { ...result, lines: () => written.join('').split('\n').slice(0, -1) };
}

describe('what run tells', () => {
  test('says what was refused, why, and what to type', async () => {
    const { refusal, close, lines } = teller();
    refusal(refused('attacker.com'));
    await close([]);
    expect(lines()).toEqual([
      'clawctl: refused attacker.com:443 (no-rule): no rule allows this host; to allow it: clawctl egress add attacker.com',
    ]);
  });

  test('suggests what is about the policy in force, where it is not the own one', async () => {
    const { refusal, close, lines } = teller({ policyFile: '/a b.yaml' });
    refusal(refused('attacker.com'));
    refusal({ ...refused('a.test'), suggestion: 'clawctl egress blocked' });
    await close([]);
    expect(lines()[0]).toEndWith("clawctl egress add attacker.com --policy '/a b.yaml'");
    expect(lines()[1]).toEndWith('clawctl egress blocked');
  });

  test('says what could not be reached, which no rule would change', async () => {
    const { refusal, close, lines } = teller();
    refusal({ ...refused('a.test'), reason: 'name-not-resolved', detail: 'no such name' });
    await close([]);
    expect(lines()).toEqual([
      'clawctl: could not reach a.test:443 (name-not-resolved): the name could not be resolved (no such name)',
    ]);
  });

  test('is twenty refusals at most, then a count, whatever is thrown at them', async () => {
    const { refusal, close, lines } = teller();
    for (let i = 0; i < 10_000; i++) refusal(refused(`h${i}.example.com`));
    await close([]);
    expect(lines().filter((line) => line.includes('refused'))).toHaveLength(20);
    expect(lines().at(-1)).toContain('9980 more refusals');
  });

  test('is told once when it repeats', async () => {
    const { refusal, close, lines } = teller();
    for (let i = 0; i < 3; i++) refusal(refused('attacker.com'));
    await close([]);
    expect(lines()).toHaveLength(2);
    expect(lines()[1]).toContain('2 more refusals');
  });

  test('waits while another program has the terminal, and comes at the end', async () => {
    const { refusal, close, lines } = teller({ held: () => true });
    refusal(refused('attacker.com'));
    expect(lines()).toEqual([]);
    await close([]);
    expect(lines()).toHaveLength(1);
  });

  test('never holds up the end when nobody reads', async () => {
    const { refusal, close } = teller({ stuck: true });
    refusal(refused('a.com'));
    refusal(refused('b.com'));
    await close([]);
  });

  test('is JSON lines on request', async () => {
    const { refusal, close, lines } = teller({ json: true });
    refusal(refused('attacker.com'));
    await close([]);
    expect(JSON.parse(lines()[0]!)).toMatchObject({
      schema: 'clawctl.egress.refusal/v1',
      host: 'attacker.com',
    });
  });

  test('ends with what comes last', async () => {
    const { refusal, say, close, lines } = teller();
    refusal(refused('a.com'));
    say('the policy is broken');
    await close(['the end']);
    expect(lines().slice(1)).toEqual(['clawctl: the policy is broken', 'the end']);
  });

  test('prints nothing that moves a cursor', async () => {
    const { refusal, close, lines } = teller();
    refusal({ ...refused('a.com'), host: 'a\x1b[2J\r.com' });
    await close([]);
    expect(lines()[0]).toContain('a\\x1b[2J\\r.com');
  });
});
