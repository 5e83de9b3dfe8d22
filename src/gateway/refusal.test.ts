import { expect, test } from 'bun:test';
import { parseHost } from '../names/host.ts';
import type { Reason } from '../policy/reason.ts';
import { additionFor, suggestionFor } from './refusal.ts';

const addition = (text: string) => additionFor(parseHost(text)!, 443, 'no-rule', 'a');

test('a command is suggested where it would allow the host, and not for what is not public', () => {
  expect(addition('a.test')).toBe('clawctl egress add a.test');
  expect(addition('1.1.1.1')).toBe('clawctl egress add 1.1.1.1');
  for (const host of ['169.254.169.254', '10.0.0.5', '127.0.0.1', '[::1]', 'localhost', 'a.localhost'])
    expect(addition(host)).toBeNull();
});

test('what is explained is explained to the agent that was refused, and what no rule decides is not sent to the rules', () => {
  const suggestion = (reason: Reason, agent = 'bot') =>
    suggestionFor(parseHost('a.test')!, 8443, reason, agent);
  expect(suggestion('denied')).toBe('clawctl egress explain a.test:8443 --agent bot');
  expect(suggestion('sni-mismatch', '-')).toBe('clawctl egress explain a.test:8443');
  expect(suggestion('agent')).toBe('clawctl egress add a.test --port 8443 --agent bot');
  for (const reason of ['credentials-missing', 'credentials-wrong', 'agent-removed'] as const)
    expect(suggestion(reason, '-')).toBe('clawctl egress agents list');
  expect(suggestion('limit-bytes-up')).toBe('clawctl egress stats --agent bot');
  expect(suggestion('limit-connections')).toBe('clawctl egress stats --agent bot');
  expect(suggestion('limit-total')).toBe('clawctl egress stats --by agent');
});
