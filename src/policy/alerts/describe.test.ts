import { expect, test } from 'bun:test';
import { describeCondition } from './describe.ts';
import { parseCondition } from './parse.ts';

test.each([
  [
    'blocked_requests > 100 in 5 minutes',
    'requests that were blocked within 5 minutes, counted in all, come to more than 100',
  ],
  [
    'domain matches *.xyz, *.tk, *.ml',
    'somebody asks for a host that matches *.xyz, *.tk or *.ml, allowed or not',
  ],
  [
    'bytes_up >= 50 MB in 90s per agent where agent = ci',
    'data sent within 90 seconds, counted for any one agent, come to at least 50 MB, counting only where the agent is ci',
  ],
  [
    'dns_queries > 3x baseline in 1 hour per agent or (lookalike and not killed)',
    'names that were asked for within 1 hour, counted for any one agent, come to more than 3 times what is usual there at this hour of the week, or (somebody asks for a host that imitates an allowed one, and at the same time it is not so that the kill switch is used)',
  ],
])('%p in words', (text, words) => {
  const parsed = parseCondition(text);
  expect(parsed.ok && describeCondition(parsed.condition)).toBe(words);
});
