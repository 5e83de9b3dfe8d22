import { expect, test } from 'bun:test';
import { parseHost } from '../names/host.ts';
import { additionFor } from './refusal.ts';

const addition = (text: string) => additionFor(parseHost(text)!, 443, 'no-rule', 'a');

test('a command is suggested where it would allow the host, and not for what is not public', () => {
  expect(addition('a.test')).toBe('clawctl egress add a.test');
  expect(addition('1.1.1.1')).toBe('clawctl egress add 1.1.1.1');
  for (const host of ['169.254.169.254', '10.0.0.5', '127.0.0.1', '[::1]', 'localhost', 'a.localhost'])
    expect(addition(host)).toBeNull();
});
