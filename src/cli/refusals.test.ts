import { describe, expect, test } from 'bun:test';
import { createRefusalTeller } from './refusals.ts';

const refusal = (host: string) => ({
  time: 0,
  agent: 'a',
  host,
  port: 443,
  reason: 'no-rule' as const,
  detail: null,
  suggestion: `clawctl egress add ${host}`,
});

function teller(options: { held?: () => boolean; stuck?: boolean; json?: boolean } = {}) {
  const written: string[] = [];
  const result = createRefusalTeller({
    json: options.json ?? false,
    isHeld: options.held ?? (() => false),
    write(text, done) {
      written.push(text);
      if (options.stuck !== true) queueMicrotask(done);
    },
  });
  return { ...result, lines: () => written.join('').split('\n').slice(0, -1) };
}

describe('refusals on the terminal', () => {
  test('say what was refused, why, and what to type', async () => {
    const { tell, close, lines } = teller();
    tell(refusal('attacker.com'));
    await close();
    expect(lines()).toEqual([
      'clawctl: refused attacker.com:443 (no-rule): no rule allows this host; to allow it: clawctl egress add attacker.com',
    ]);
  });

  test('are twenty at most, then a count, whatever is thrown at them', async () => {
    const { tell, close, lines } = teller();
    for (let i = 0; i < 10_000; i++) tell(refusal(`h${i}.example.com`));
    await close();
    expect(lines().filter((line) => line.includes('refused'))).toHaveLength(20);
    expect(lines().at(-1)).toContain('9980 more refusals');
  });

  test('are told once when they repeat', async () => {
    const { tell, close, lines } = teller();
    for (let i = 0; i < 3; i++) tell(refusal('attacker.com'));
    await close();
    expect(lines()).toHaveLength(2);
    expect(lines()[1]).toContain('2 more refusals');
  });

  test('wait while another program has the terminal, and come at the end', async () => {
    const { tell, close, lines } = teller({ held: () => true });
    tell(refusal('attacker.com'));
    expect(lines()).toEqual([]);
    await close();
    expect(lines()).toHaveLength(1);
  });

  test('never hold up the end when nobody reads', async () => {
    const { tell, close } = teller({ stuck: true });
    tell(refusal('a.com'));
    tell(refusal('b.com'));
    await close();
  });

  test('are JSON lines on request', async () => {
    const { tell, close, lines } = teller({ json: true });
    tell(refusal('attacker.com'));
    await close();
    expect(JSON.parse(lines()[0]!)).toMatchObject({
      schema: 'clawctl.egress.refusal/v1',
      host: 'attacker.com',
    });
  });

  test('print nothing that moves a cursor', async () => {
    const { tell, close, lines } = teller();
    tell({ ...refusal('a.com'), host: 'a\x1b[2J\r.com' });
    await close();
    expect(lines()[0]).toContain('a\\x1b[2J\\r.com');
  });
});
